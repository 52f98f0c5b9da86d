/** How the console becomes files: `npm run build` puts them into `dist/console`, which the operator serves. */
import { join } from 'node:path';
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  // Below whatever path an ingress has it.
  base: './',
  build: {
    outDir: join(import.meta.dirname, '../../dist/console'),
    emptyOutDir: true,
    target: ['chrome123', 'firefox123', 'safari17.5'],
    // Its policy lets nothing in that is written into a page or a URL.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Texts of the licences of what is bundled.
    license: { fileName: 'licenses.md' },
    reportCompressedSize: false,
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
});
