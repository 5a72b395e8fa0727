/**
 * Our own lint rules, as a plugin of oxlint; .oxlintrc.json says where each holds, test/house/lint.test.ts shows each fail.
 *
 *   injected-ports    time and chance come through Clock and Random only, so that a simulation can replay a seed
 *   portable-shared   shared/ runs in a browser too: nothing of Node
 *   reason-for-any    `any` stands under a line that says why
 */
import { isBuiltin } from 'node:module';

const viaPorts = 'take it from Clock or Random of shared/ports.ts';

/** What may be used of a global; any other use of it, an alias too, is reported. Those not named here are free. */
const partOf = {
  Math: (member) => member !== 'random',
  Date: (member) => member === 'UTC' || member === 'parse',
  crypto: (member) => member === 'subtle',
  process: (member) => !['hrtime', 'uptime'].includes(member),
  AbortSignal: (member) => member !== 'timeout',
};
const bannedGlobals = new Set(['setTimeout', 'setInterval', 'setImmediate', 'performance', 'globalThis', 'global', 'window', 'self']);
const bannedModules = new Set(['timers', 'timers/promises', 'perf_hooks']);
const bannedNames = {
  crypto: [
    'randomUUID',
    'randomUUIDv7',
    'randomBytes',
    'pseudoRandomBytes',
    'randomInt',
    'randomFill',
    'randomFillSync',
    'getRandomValues',
    'webcrypto',
  ],
  process: ['hrtime', 'uptime'],
};

const injectedPorts = {
  create(context) {
    const checkModule = (node, source) => {
      const module = source.replace(/^node:/, '');
      if (bannedModules.has(module)) context.report({ node, message: `${source} is time from outside: ${viaPorts}` });
      return bannedNames[module];
    };
    return {
      'Program:exit': (program) => {
        for (const { identifier } of globalReferences(context, program)) checkGlobal(context, identifier);
      },
      ImportDeclaration(node) {
        const names = checkModule(node, node.source.value);
        if (names === undefined || node.importKind === 'type') return;
        for (const specifier of node.specifiers) {
          const name = specifier.imported?.name ?? specifier.imported?.value;
          if (name === undefined)
            context.report({
              node: specifier,
              message: `import ${node.source.value} by names, so that time and chance can be told from the rest`,
            });
          else if (names.includes(name))
            context.report({ node: specifier, message: `${name} is chance or time from outside: ${viaPorts}` });
        }
      },
      'ExportAllDeclaration, ExportNamedDeclaration'(node) {
        if (node.source && checkModule(node, node.source.value)) context.report({ node, message: `do not pass ${node.source.value} on` });
      },
      ImportExpression(node) {
        const source = node.source.value;
        if (typeof source === 'string' && checkModule(node, source))
          context.report({ node, message: `import ${source} at the top, by names` });
      },
    };
  },
};

/** References to names that the file does not declare, types aside. */
function globalReferences(context, program) {
  const scope = context.sourceCode.getScope(program);
  const global = scope.type === 'global' ? scope : scope.upper;
  const undeclared = global.variables.filter((variable) => variable.defs.length === 0).flatMap((variable) => variable.references);
  return [...global.through, ...undeclared].filter((reference) => reference.isValueReference !== false);
}

function checkGlobal(context, identifier) {
  const { name, parent } = identifier;
  if (bannedGlobals.has(name)) return context.report({ node: identifier, message: `${name}: ${viaPorts}` });
  const isAllowed = Object.hasOwn(partOf, name) ? partOf[name] : undefined;
  if (isAllowed === undefined) return;
  if (parent.type === 'UnaryExpression' && parent.operator === 'typeof') return;
  if (parent.type === 'BinaryExpression' && parent.operator === 'instanceof' && parent.right === identifier) return;
  // `new Date(ms)` turns a moment into another form; `new Date()` and `Date()` read the clock.
  if (name === 'Date' && parent.type === 'NewExpression' && parent.callee === identifier && parent.arguments.length > 0) {
    if (parent.arguments[0].type !== 'SpreadElement') return;
  }
  const isMember = parent.type === 'MemberExpression' && parent.object === identifier && !parent.computed;
  if (isMember && isAllowed(parent.property.name)) return;
  context.report({
    node: identifier,
    message: `${isMember ? `${name}.${parent.property.name}` : `${name} used so`} is time or chance from outside: ${viaPorts}`,
  });
}

const portableShared = {
  create(context) {
    const check = (node, source) => {
      if (typeof source === 'string' && isBuiltin(source))
        context.report({ node, message: `${source} is of Node; shared/ runs anywhere: pass what is needed in as a port` });
    };
    return {
      'Program:exit': (program) => {
        for (const { identifier } of globalReferences(context, program)) {
          if (['process', 'require', 'Buffer', '__dirname'].includes(identifier.name)) {
            context.report({ node: identifier, message: `${identifier.name} is of Node; shared/ runs anywhere` });
          }
        }
      },
      ImportDeclaration: (node) => check(node, node.source.value),
      'ExportAllDeclaration, ExportNamedDeclaration': (node) => check(node, node.source?.value),
      ImportExpression: (node) => check(node, node.source.value),
    };
  },
};

const reasonForAny = {
  create(context) {
    return {
      TSAnyKeyword(node) {
        const above = context.sourceCode.lines[node.loc.start.line - 2]?.trim() ?? '';
        if (!/^(\/\/|\/\*\*?|\*)\s*\S{2,}/.test(above))
          context.report({ node, message: '`any` needs its reason in a comment on the line above; `unknown` needs none' });
      },
    };
  },
};

export default {
  meta: { name: 'farshore' },
  rules: { 'injected-ports': injectedPorts, 'portable-shared': portableShared, 'reason-for-any': reasonForAny },
};
