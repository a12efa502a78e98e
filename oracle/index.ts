/** Ground truth from outside: the kernel's own handlers, other linkers at fixed addresses. Node only. */
export { BuildError, type BuildOptions, buildPort, type Port, startPort } from './build.ts';
export { differences } from './differences.ts';
export { findLld, LinkError, linkAtAddresses } from './lld.ts';
export { PortError, type PortOptions, PortProcess } from './port-process.ts';
export type { PortCase, PortCrash, PortOutcome, PortRegion, PortStage } from './port-protocol.ts';
export { type PortSpec, ports, withoutPort } from './ports.ts';
export { record, type Recorded, type RecordOptions } from './record.ts';
export { relinkable } from './relink.ts';
export { type Answer, servePort } from './serve-port.ts';
export { expectOf, portCaseOf } from './vector-case.ts';
export { type Answering, type Disagreement, type Ending, type Verdict, verify, type VerifyOptions } from './verify.ts';
