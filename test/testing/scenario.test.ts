/** Scenarios that are none, and what each verb does. */
import test from 'ava';
import { InputError } from '../../loader/input-error.ts';
import { parseScenario } from '../../testing/scenario.ts';

for (const [text, message] of [
  ['{', /is JSON/],
  ['[]', /a scenario is an object/],
  ['{"modules":{},"threads":{}}', /has threads/],
  ['{"modules":{},"threads":{"a":[]},"more":1}', /no "more"/],
  ['{"modules":{},"threads":{"a":["load m"]}}', /no module m/],
  ['{"modules":{},"threads":{"a":["fly m"]}}', /"fly" is none of load, /],
  ['{"modules":{},"threads":{"a":["load"]}}', /one name follows load/],
  ['{"modules":{},"threads":{"a":["yield now"]}}', /nothing follows yield/],
  ['{"modules":{},"threads":{"a":"load m"}}', /a list of texts/],
  ['{"modules":{},"threads":{"a!":[]}}', /can be called a!/],
  ['{"modules":{},"threads":{"rcu":[]}}', /can be called rcu/],
  ['{"modules":{"m":{"init":["return x"]}},"threads":{"a":[]}}', /not a number/],
  ['{"modules":{"m":{"init":["load m"]}},"threads":{"a":[]}}', /"load" is none of register/],
  ['{"modules":{"m":{"size":1}},"threads":{"a":[]}}', /there is no "size"/],
  ['{"kernel":"2.6","modules":{},"threads":{"a":[]}}', /one of 6.1, 6.12, 7.2, 2.2, /],
  ['{"modules":{"m":{"file":"torn"}},"threads":{"a":[]}}', /can only be "empty"/],
  ['{"modules":{"m":{"async_probe":1}},"threads":{"a":[]}}', /is true or false/],
  ['{"modules":{"m":{"functions":[]}},"threads":{"a":[]}}', /"functions" of module m is an object/],
  ['{"modules":{"m":{"init":["call_rcu f"]}},"threads":{"a":[]}}', /has no function f/],
  ['{"modules":{"m":{"functions":{"f":["fly"]}}},"threads":{"a":[]}}', /f of module m: "fly" is none of/],
  ['{"modules":{"m":{"init":["get n"]}},"threads":{"a":[]}}', /no module n/],
  ['{"modules":{},"threads":{"a":["kill b"]}}', /no thread b/],
  ['{"modules":{},"threads":{"a":["must fly"]}}', /"fly" is none of/],
  ['{"modules":{},"threads":{"a":["must yield now"]}}', /nothing follows yield/],
  ['{"modules":{},"threads":{"a/b":[]}}', /can be called a\/b/],
  ['{"modules":{},"threads":{"a":["load toString"]}}', /no module toString/],
  ['{"modules":{},"threads":{"a":["kill toString"]}}', /no thread toString/],
  ['{"modules":{},"threads":{"a":["toString m"]}}', /"toString" is none of load/],
  ['{"modules":{"m":{"init":["call_rcu toString"]}},"threads":{"a":[]}}', /no function toString/],
  ['{"modules":{"":{}},"threads":{"a":[]}}', /"" is no name of a module/],
  [`{"modules":{"${'m'.repeat(56)}":{}},"threads":{"a":[]}}`, /"m+" is no name of a module/],
  ['{"modules":{"a b":{}},"threads":{"a":[]}}', /"a b" is no name of a module/],
  ['{"modules":{"m":{"exports":["a b"]}},"threads":{"a":[]}}', /"exports" of module m: "a b" is no symbol/],
  ['{"modules":{"m":{"uses":[""]}},"threads":{"a":[]}}', /"uses" of module m: "" is no symbol/],
  ['{"modules":{},"threads":{"a":["sleep -5"]}}', /"sleep -5": sleep takes a number from 0 on/],
  ['{"modules":{},"threads":{"a":["by -1"]}}', /by takes a number from 0 on/],
  ['{"modules":{},"threads":{"a":["cpu -1"]}}', /cpu takes a number from 0 on/],
  ['{"modules":{"m":{"init":["return -99999"]}},"threads":{"a":[]}}', /"return -99999": init returns 0, a positive/],
  ['{"modules":{"m":{"init":["return 2147483648"]}},"threads":{"a":[]}}', /init returns 0, a positive number/],
  ['{"title":1,"modules":{},"threads":{"a":[]}}', /is a text/],
] as const) {
  test(`no scenario: ${text}`, (t) => {
    t.throws(() => parseScenario(text), { instanceOf: InputError, message });
  });
}

test('both ends of what can be said', (t) => {
  const modules = { ['m'.repeat(55)]: { init: ['return -12'] }, n: { init: ['return 2147483647'] } };
  const threads = { a: ['sleep 0', 'by 0', `load ${'m'.repeat(55)}`] };
  t.notThrows(() => parseScenario(JSON.stringify({ modules, threads })));
});
