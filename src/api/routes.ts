/** All routes. */
import type { Hub } from './events.ts';
import type { Route } from './route.ts';
import { deviceFileRoutes } from './routes/devicefile.ts';
import { deviceRoutes } from './routes/devices.ts';
import { eventRoutes } from './routes/events.ts';
import { farmRoutes } from './routes/farms.ts';
import { machineRoutes } from './routes/machines.ts';
import { releaseRoutes } from './routes/releases.ts';
import { resourceRoutes } from './routes/resources.ts';
import { sessionRoutes } from './routes/sessions.ts';

export const routesOf = (hub: Hub): readonly Route[] => [
  ...farmRoutes,
  ...resourceRoutes(),
  ...releaseRoutes,
  ...deviceRoutes,
  ...deviceFileRoutes,
  ...machineRoutes,
  ...sessionRoutes,
  ...eventRoutes(hub),
];
