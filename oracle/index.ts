/** Ground truth from outside: other linkers at fixed addresses. Node only. */
export { differences } from './differences.ts';
export { findLld, LinkError, linkAtAddresses } from './lld.ts';
export { relinkable } from './relink.ts';
