/** Answers every question over HTTP by a byte, and prints {"at","event"} for it: the path that was asked for. Arguments: address, port. */
import { once } from 'node:events';
import { createServer } from 'node:http';

const [address = '', port = ''] = process.argv.slice(2);
const say = (event: string): void => console.log(JSON.stringify({ at: Date.now(), event }));

const server = createServer(({ url = '' }, response) => {
  say(url.slice(1));
  response.end('\n');
});
server.listen(Number(port), address);
await once(server, 'listening');
say('listens');
