/** All routes. */
import type { Hub } from './events.ts';
import type { Route } from './route.ts';
import { deviceFileRoutes } from './routes/devicefile.ts';
import { deviceRoutes } from './routes/devices.ts';
import { eventRoutes } from './routes/events.ts';
import { farmRoutes } from './routes/farms.ts';
import { sessionRoutes } from './routes/sessions.ts';

export const routesOf = (hub: Hub): readonly Route[] => [
  ...farmRoutes,
  ...deviceRoutes,
  ...deviceFileRoutes,
  ...sessionRoutes,
  ...eventRoutes(hub),
];
