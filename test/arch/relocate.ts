/** A module in ten lines, relocated: see testing/. */
export * from '../../testing/relocate.ts';
