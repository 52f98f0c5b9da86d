/**
 * The two packages of a thousand modules. `npm run build` puts what of them is used into this one file: an operator then takes 30 MiB less, of 104 that the modules
 * take one by one. Types are imported from the packages themselves, and values, also by tests, from here alone: jest refuses that the first requires what another
 * file imports.
 */
export { default as library } from '@dot-i/k8s-operator';
export { KubeConfig } from '@kubernetes/client-node/dist/config.js';
