import test from 'ava';
import { builtFrom, sourcesHash } from '../../../scripts/build-wasm.ts';

test('scan.wasm is what its sources say', (t) => {
  t.is(builtFrom(), sourcesHash(), 'npm run build:wasm makes it anew');
});
