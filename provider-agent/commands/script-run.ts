/**
 * Handler of script.run. A script is not looked at as a VM is: nothing tells whether it ran. So it is begun once in the life of its
 * command, after the intent is synced, and whoever finds it begun in an earlier life says that its outcome is unknown.
 */
import { FarshoreError } from '../../shared/errors.ts';
import type { ScriptContext } from '../../shared/protocol/commands.ts';
import type { HandlerContext, Handlers } from './handlers.ts';

export const scriptHandlers: Pick<Handlers, 'script.run'> = {
  async 'script.run'({ name, sha256, context, withinSeconds }, handler) {
    if (handler.isResumed) throw new FarshoreError('ERR_SCRIPT_UNKNOWN', `${name} was begun in an earlier life of the agent`);
    handler.progress('runningScript');
    const input = `${JSON.stringify(await documentFor(context, handler))}\n`;
    const { commandId } = handler.act;
    const order = { commandId, name, sha256, input, environment: environmentFor(context), limitMs: withinSeconds * 1000 };
    const { exitCode, durationMs, outputRef } = await handler.scripts.run(order);
    if (exitCode === null)
      throw new FarshoreError('ERR_SCRIPT_TIMEOUT', `${name} was ended after ${withinSeconds} s; its output is kept as ${outputRef}`);
    return { exitCode, durationMs, sha256, outputRef };
  },
};

/** With what only the site knows: it goes to the script and nowhere else. */
async function documentFor({ vms, location, ...context }: ScriptContext, { fabric }: HandlerContext) {
  const described = vms.map(async ({ id, ref }) => {
    // In a drill it is told of the test copies: whatever it does, it does to them.
    const vm = context.kind === 'test' ? await fabric.findTestCopy(ref) : await fabric.findVm(ref);
    const addresses = vm === null ? [] : await fabric.addressesOf(vm.ref);
    return { id, vmId: vm?.ref.vmId ?? null, name: vm?.name ?? null, activeSite: vm?.power === 'running' ? location : null, addresses };
  });
  return { ...context, site: location, vms: await Promise.all(described) };
}

/** The short part of it also as variables, for scripts that need no more. */
function environmentFor({ plan, kind, direction, group, location }: ScriptContext): Record<string, string> {
  return {
    FARSHORE_PLAN: plan?.name ?? '',
    FARSHORE_KIND: kind,
    FARSHORE_DIRECTION: direction,
    FARSHORE_GROUP: group,
    FARSHORE_SITE: location,
  };
}
