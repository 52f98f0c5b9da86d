/** How a person says which farm database a command works on: without the client of one. */
import { type Command, Option } from 'commander';

export const databaseOptions = (command: Command): Command =>
  command
    .addOption(new Option('--farm <namespace/name>', 'the farm, in the pod of the operator').env('BOOTFARM_FARM'))
    .addOption(
      new Option('--database-uri-file <file>', 'file that holds the uri of the farm database; a server has it set').env(
        'BOOTFARM_DATABASE_URI_FILE',
      ),
    )
    .addOption(new Option('--direct', 'by the database itself, as it is here in any case; at a desk the API is asked'))
    .addHelpText('after', '\nThe uri itself may be in the environment too: BOOTFARM_DATABASE_URI.');
