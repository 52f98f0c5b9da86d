// `npm test` runs V8 without Sparkplug, its baseline compiler: with it, workers of jest die of SIGSEGV whatever they test (nodejs/node issue 62393). What
// `make test` does about threads is in test/setup/test.sh.

/** The projects are the loops of work: unit beside the code, then what spans modules, then whole machines. */
const project = (displayName, testMatch, more = {}) => ({
  displayName,
  testMatch,
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': ['@swc/jest', { jsc: { target: 'es2024', parser: { syntax: 'typescript' } } }] },
  roots: ['<rootDir>/src', '<rootDir>/test'],
  ...more,
});

export default {
  // Milliseconds. The end of a test that hangs, never a measure of speed: a machine may be so busy that everything takes four times as long.
  testTimeout: 600_000,
  projects: [
    project('unit', ['<rootDir>/src/**/*.test.ts', '<rootDir>/test/{attack,check,fuzz,simulation}/**/*.test.ts']),
    project('integration', ['<rootDir>/test/integration/**/*.test.ts']),
    project('e2e', ['<rootDir>/test/e2e/**/*.test.ts']),
    project('gitops', ['<rootDir>/test/gitops/**/*.test.ts']),
  ],
};
