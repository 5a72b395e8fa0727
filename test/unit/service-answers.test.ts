/** Accounts that are taken and refused, and what the programs of Windows answer, in any language. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readAccount } from '../../provider-agent/service/account.ts';
import { serviceFiles } from '../../provider-agent/service/definition.ts';
import { templateBytes, templateGranting, templateText } from '../../provider-agent/service/logon-right.ts';
import { hostIn, settingsIn, stateIn } from '../../provider-agent/service/service-state.ts';
import { shown } from '../../provider-agent/service/windows.ts';

const NAME = 'FarshoreAgent';

describe('the account of the service', () => {
  test('is a group managed one, or its own', () => {
    assert.deepEqual(readAccount('CORP\\farshore$', NAME), { name: 'CORP\\farshore$', isManaged: true });
    assert.deepEqual(readAccount('corp.example.org\\Süd-dr$', NAME), { name: 'corp.example.org\\Süd-dr$', isManaged: true });
    assert.deepEqual(readAccount('nt service\\farshoreagent', NAME), { name: 'NT SERVICE\\FarshoreAgent', isManaged: false });
  });

  const refused = [
    'LocalSystem',
    'NT AUTHORITY\\SYSTEM',
    'CORP\\admin',
    '.\\farshore',
    'NT SERVICE\\Other',
    'CORP\\a"b$',
    'CORP\\a b$',
    'farshore$',
    '',
  ];
  for (const text of refused)
    test(`is never '${text}'`, () => {
      assert.throws(
        () => readAccount(text, NAME),
        (error: { code: string; problems: { allowed?: string }[] }) => {
          assert.equal(error.code, 'ERR_REQUEST_INVALID');
          assert.match(error.problems[0]?.allowed ?? '', /DOMAIN\\name\$/);
          return true;
        },
      );
    });
});

test('a name of a service is of few signs', () => {
  for (const name of ['', 'a b', 'a"', 'x'.repeat(81), 'a/b'])
    assert.throws(() => serviceFiles(name, '/data'), { code: 'ERR_REQUEST_INVALID' });
  assert.equal(serviceFiles('Farshore-2', '/data').name, 'Farshore-2');
});

describe('the state of a service', () => {
  const answers: readonly (readonly [string, string, string | null])[] = [
    [
      'English',
      'SERVICE_NAME: FarshoreAgent \r\n        TYPE               : 10  WIN32_OWN_PROCESS  \r\n        STATE              : 4  RUNNING \r\n                                (STOPPABLE, NOT_PAUSABLE, ACCEPTS_SHUTDOWN)\r\n        WIN32_EXIT_CODE    : 0  (0x0)\r\n',
      'running',
    ],
    [
      'German',
      'SERVICE_NAME: FarshoreAgent \r\n        TYP                : 10  WIN32_OWN_PROCESS  \r\n        STATUS             : 1  STOPPED \r\n        WIN32_EXIT_CODE    : 1077  (0x435)\r\n',
      'stopped',
    ],
    [
      'French',
      'SERVICE_NAME: FarshoreAgent\r\n        TYPE               : 10  WIN32_OWN_PROCESS\r\n        \u00c9TAT               : 3  STOP_PENDING\r\n',
      'stopping',
    ],
    ['on its way', '        STATE              : 2  START_PENDING \r\n', 'starting'],
    ['nothing that is known', 'oops', null],
  ];
  for (const [name, output, state] of answers) test(`is read: ${name}`, () => assert.equal(stateIn({ code: 0, output }), state));

  test('is none where there is no service', () =>
    assert.equal(stateIn({ code: 1060, output: '[SC] EnumQueryServicesStatus: 1060' }), null));
});

test('the settings of a service are read from its key', () => {
  const output = [
    '',
    'HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\FarshoreAgent',
    '    Type    REG_DWORD    0x10',
    '    Start    REG_DWORD    0x2',
    '    ImagePath    REG_EXPAND_SZ    "C:\\Program Data\\Größe\\host.exe" FarshoreAgent',
    '    ObjectName    REG_SZ    CORP\\farshore$',
    '    DelayedAutostart    REG_DWORD    0x1',
    '',
  ].join('\r\n');
  const settings = settingsIn({ code: 0, output });
  assert.deepEqual(settings, {
    account: 'CORP\\farshore$',
    imagePath: '"C:\\Program Data\\Größe\\host.exe" FarshoreAgent',
    start: 'delayed',
  });
  assert.equal(hostIn(settings?.imagePath ?? ''), 'C:\\Program Data\\Größe\\host.exe');
  assert.equal(settingsIn({ code: 1, output: '' }), null);
  assert.equal(settingsIn({ code: 0, output: output.replace('DelayedAutostart    REG_DWORD    0x1', '') })?.start, 'automatic');
});

describe('the right to log on as a service', () => {
  const exported =
    '[Unicode]\r\nUnicode=yes\r\n[Privilege Rights]\r\nSeNetworkLogonRight = *S-1-1-0\r\nSeServiceLogonRight = *S-1-5-80-0,CORP\\sql$\r\n';

  test('is given beside those who have it, and nothing else is set', () => {
    const template = templateGranting('CORP\\farshore$', exported) ?? '';
    assert.match(template, /^SeServiceLogonRight = \*S-1-5-80-0,CORP\\sql\$,CORP\\farshore\$$/m);
    assert.doesNotMatch(template, /SeNetworkLogonRight/);
  });

  test('is left alone where it is there already', () => assert.equal(templateGranting('corp\\SQL$', exported), null));

  test('is given where nobody has it yet', () =>
    assert.match(templateGranting('CORP\\farshore$', '[Privilege Rights]\r\n') ?? '', /^SeServiceLogonRight = CORP\\farshore\$$/m));

  test('is not changed where what was exported cannot be read: whoever a template does not name loses the right', () => {
    const narrow = templateText(Buffer.from(exported, 'latin1'));
    assert.throws(() => templateGranting('CORP\\farshore$', narrow), { code: 'ERR_SERVICE_FAILED', message: /by hand/ });
  });

  test('goes as UTF-16 with its mark, both ways', () => {
    assert.deepEqual([...templateBytes('ü').subarray(0, 2)], [0xff, 0xfe]);
    assert.equal(templateText(templateBytes('Größe')), 'Größe');
  });
});

test('a call is shown so that it can be typed', () => {
  assert.equal(
    shown({ file: 'C:\\Windows\\System32\\sc.exe', args: ['query', 'A b', '"C:\\x y" N'] }),
    'C:\\Windows\\System32\\sc.exe query "A b" "\\"C:\\x y\\" N"',
  );
});
