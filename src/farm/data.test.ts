import { farmDataContract } from '../../test/contract/farmdata.ts';
import { createFakeFarmData } from '../../test/fakes/farmdata.ts';

farmDataContract('memory', async () => {
  const data = createFakeFarmData();
  return { data, load: async (contents) => data.load(contents), close: () => data.close() };
});
