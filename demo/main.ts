/**
 * The story of the README on one machine: two sites register, their clouds are paired, VMs are protected, the primary site dies,
 * and a recovery plan brings them up at the other site. All in real processes; everything it makes is under ./.farshore/demo.
 *
 * `--fabric` says what the sites are made of (fabrics.ts). `--once` ends after the report: 0 when every VM is where it should be, else 1.
 * `--break` orders a fault at the recovery site first, so that the failover has to wait for a person.
 */
import { parseArgs } from 'node:util';
import colors from 'picocolors';
import type { Sites } from './demo-fabric.ts';
import { fabrics } from './fabrics.ts';
import { CommandLine } from './farshore.ts';
import { Installation } from './installation.ts';
import { Narrator } from './narrator.ts';
import { checkRecovered, PLAN_FILE, readPlanNames } from './outcome.ts';
import { Processes } from './processes.ts';

const FAULT = '{ kind: fails, operation: startVm, vm: sql-01, times: 99 }';
const USAGE = `usage: npm run demo [-- [--fabric <name>] [--once] [--break]]

  --once           end after the report; exit code 0 when every VM is where it should be, else 1
  --break          let the start of one VM fail at the recovery site, so that the failover waits for you
  --fabric <name>  what the two sites are made of:
${Object.entries(fabrics)
  .map(([name, { about }]) => `                     ${name.padEnd(10)} ${about}`)
  .join('\n')}`;

const { isOnce, isToBreak, fabric } = asked();
const PRIMARY = fabric.primary;
const RECOVERY = fabric.recovery;
const processes = new Processes();
const narrator = new Narrator();
let askedToStop: (() => void) | null = null;
let isStopping = false;
/** What the sites leave when their agents have ended. */
let ending = async (): Promise<void> => {};
// SIGHUP too: a terminal that is closed must not leave the programs behind.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGBREAK', 'SIGHUP'] as const) process.on(signal, () => void stop(signal));

async function stop(signal: string): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  console.log(`\n${signal}: stopping`);
  askedToStop?.();
  await processes.stopAll();
  await ending();
  process.exit(askedToStop ? 0 : 130);
}

function asked() {
  try {
    const flag = { type: 'boolean', default: false } as const;
    const options = { once: flag, break: flag, help: { ...flag, short: 'h' }, fabric: { type: 'string', default: 'simulated' } } as const;
    const { values } = parseArgs({ options });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const fabric = Object.hasOwn(fabrics, values.fabric) ? fabrics[values.fabric] : undefined;
    if (fabric === undefined) throw new Error(`there is no fabric '${values.fabric}'`);
    if (values.break && fabric.isReal === true)
      throw new Error(`--break orders a fault at a pretended site; the machines of ${values.fabric} are real`);
    return { isOnce: values.once, isToBreak: values.break, fabric };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

async function story(installation: Installation, farshore: CommandLine, sites: Sites): Promise<boolean> {
  narrator.chapter('A control plane starts');
  await narrator.whileWaiting(`${installation.address} answers; its set-up link makes the owner`, installation.start(farshore));

  narrator.chapter('Two sites register');
  for (const { name } of [PRIMARY, RECOVERY]) await farshore.show(['sites', 'add', name]);
  const siteIds = await installation.siteIds(farshore);
  for (const site of [PRIMARY, RECOVERY]) {
    await narrator.whileWaiting(
      `${site.name}: the agent takes its one-time key, makes its own, connects`,
      installation.startAgent(site.name, sites.configOf(site, siteIds), farshore),
    );
  }
  await farshore.show(['sites', 'list']);

  narrator.chapter('Two clouds are paired');
  await narrator.whileWaiting('both sites have reported what they are', installation.untilReported(farshore));
  await farshore.show(
    'pairings create --primary Reading/Production --recovery Slough/Recovery --policy examples/policy.yaml'
      .split(' ')
      .concat('--name', 'Reading to Slough', '--map', 'Front=DR Front', '--map', 'Back=DR Back'),
  );

  narrator.chapter('Every VM of the cloud is protected');
  await farshore.show(['protect', 'Reading to Slough', '--all']);
  await farshore.show(['vms', 'list']);

  narrator.chapter('A recovery plan says in which order they come back');
  await farshore.show(['plans', 'apply', PLAN_FILE]);

  narrator.chapter('A drill: the plan on an isolated network, and production does not notice');
  await farshore.show(['drills', 'start', '--plan', (await readPlanNames()).name, '--network', 'Drill']);
  await farshore.show(['drills', 'clean-up', 'latest', '--outcome', 'passed', '--notes', 'the shop took an order']);
  await farshore.show(['drills', 'list']);

  const faults = isToBreak ? sites.faultsOf(RECOVERY) : null;
  if (faults !== null) {
    narrator.chapter('A fault is ordered at Slough');
    await installation.orderFault(faults, FAULT);
  }

  narrator.chapter('Reading dies');
  const pid = await installation.killSite(PRIMARY.name);
  const dead = await sites.die(PRIMARY);
  narrator.say(colors.red(`kill -9 ${pid}: the agent of Reading, ${dead} are gone, in the middle of replication.`));
  await narrator.whileWaiting(
    'the control plane hears nothing from Reading any more; after ten seconds it calls the site dark',
    installation.untilDark(PRIMARY.name, farshore),
  );

  narrator.chapter('Failover');
  const plan = await readPlanNames();
  await farshore.show(
    ['failover', '--kind', 'unplanned', '--plan', plan.name, '--reason', 'Reading is dark: power is out in the whole building'],
    [0, 4, 5],
  );

  narrator.chapter('The report: how long it took, and how much was lost');
  const job = await installation.lastFailover(farshore);
  await farshore.show(['report', job]);
  const failures = await checkRecovered(farshore, plan.vms, RECOVERY.name);
  for (const failure of failures) console.log(colors.red(`✗ ${failure}`));
  if (failures.length === 0) console.log(colors.green(`\n✓ all ${plan.vms.length} VMs of the plan run at Slough.`));
  return failures.length === 0;
}

async function main(): Promise<void> {
  const sayDied = (why: string) => {
    if (!isStopping) console.error(colors.red(`\n${why}; its log is under .farshore/demo`));
  };
  let isGood = false;
  try {
    const installation = await Installation.make('.farshore/demo', processes, sayDied);
    const { folder } = installation;
    const sites = await fabric.start({ folder, sites: [PRIMARY, RECOVERY], processes, onDied: sayDied });
    ending = async () => sites.end?.();
    isGood = await story(installation, new CommandLine(installation.cliConfig), sites);
    if (!isOnce) {
      installation.sayGoodbye(isToBreak ? sites.faultsOf(RECOVERY) : null);
      await new Promise<void>((resolve) => {
        askedToStop = resolve;
      });
      return;
    }
  } catch (error) {
    console.error(colors.red(`\nthe demo stopped: ${error instanceof Error ? error.message : String(error)}`));
  }
  await processes.stopAll();
  await ending();
  process.exitCode = isGood ? 0 : 1;
}

await main();
