/**
 * The page behind the set-up link: one form, its script and its style as files of their own, as the content security policy
 * wants it. Once there is a vault nothing of it is reachable.
 */
import { Router } from 'express';
import { PASSWORD_LENGTH } from '../../shared/api/accounts.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { Store } from '../store/store.ts';
import { isSetUp } from './set-up.ts';

export function setUpPage(store: Store): Router {
  const router = Router();
  const files = {
    '/setup': ['text/html', html],
    '/setup/page.css': ['text/css', css],
    '/setup/page.js': ['text/javascript', script],
  } as const;
  for (const [path, [type, text]] of Object.entries(files)) {
    router.get(path, async (_request, response) => {
      if (await isSetUp(store)) throw new FarshoreError('ERR_SETUP_DONE', 'this control plane is set up');
      response.set('Cache-Control', 'no-store').set('Referrer-Policy', 'no-referrer').type(type).send(text);
    });
  }
  return router;
}

const html = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Set up Farshore</title>
  <link rel="stylesheet" href="/setup/page.css">
  <script src="/setup/page.js" defer></script>
</head>
<body>
  <main>
    <h1>Set up Farshore</h1>
    <p>Make the vault and its owner. This page works once.</p>
    <form id="form" method="post" autocomplete="off">
      <label>Vault <small>your company or department</small><input name="vaultName" required maxlength="100" autofocus></label>
      <label>Your user name<input name="ownerName" required maxlength="100" autocomplete="username"
        pattern="[A-Za-z0-9][A-Za-z0-9._@+\\-]*" title="letters, digits and . _ @ + -"></label>
      <label>Password <small>at least ${PASSWORD_LENGTH.least} characters</small><input name="password" type="password" required
        minlength="${PASSWORD_LENGTH.least}" maxlength="${PASSWORD_LENGTH.most}" autocomplete="new-password"></label>
      <label>Password again<input name="again" type="password" required autocomplete="new-password"></label>
      <button>Set up</button>
      <div id="message" role="alert"></div>
    </form>
    <section id="done" hidden>
      <h2>Done</h2>
      <p>The vault <b id="vault"></b> is there, and <b id="owner"></b> owns it. Sign in on the command line:</p>
      <pre id="command"></pre>
    </section>
  </main>
</body>
</html>
`;

const css = `:root { color-scheme: light dark; --line: #8886; --accent: #0b6bcb; --bad: #c62828 }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 16px/1.5 system-ui, sans-serif }
main { width: min(26rem, 100vw); padding: 2rem }
h1 { font-size: 1.5rem; margin: 0 }
p { margin: .25rem 0 1.25rem }
label { display: block; margin-bottom: 1rem; font-weight: 600 }
small { font-weight: 400; opacity: .7; margin-left: .25rem }
input { display: block; width: 100%; margin-top: .25rem; padding: .55rem .7rem; font: inherit; border: 1px solid var(--line); border-radius: 6px }
input:focus-visible, button:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px }
button { width: 100%; padding: .65rem; font: inherit; font-weight: 600; color: #fff; background: var(--accent); border: 0; border-radius: 6px; cursor: pointer }
button:disabled { opacity: .6; cursor: progress }
#message { margin-top: 1rem; color: var(--bad); white-space: pre-line }
pre { padding: .8rem; border: 1px solid var(--line); border-radius: 6px; overflow-x: auto }
`;

const script = `const form = document.getElementById('form');
const message = document.getElementById('message');
const secret = location.hash.slice(1);
history.replaceState(null, '', location.pathname);
if (!secret) {
  message.textContent = 'The link is not whole: copy all of it from the terminal of the server.';
  form.querySelector('button').disabled = true;
}
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { vaultName, ownerName, password, again } = Object.fromEntries(new FormData(form));
  if (password !== again) {
    message.textContent = 'The two passwords differ.';
    return;
  }
  const button = form.querySelector('button');
  button.disabled = true;
  message.textContent = '';
  try {
    const response = await fetch('/api/v1/setup', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ secret, vaultName, ownerName, password }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error([answer.detail, ...(answer.problems ?? []).map((p) => p.field + ': ' + p.message), answer.remedy].join('\\n'));
    form.hidden = true;
    document.getElementById('vault').textContent = answer.vault;
    document.getElementById('owner').textContent = answer.owner;
    document.getElementById('command').textContent = 'farshore sign-in ' + answer.owner + ' --address ' + location.origin + ' --ca ca.pem';
    document.getElementById('done').hidden = false;
  } catch (error) {
    message.textContent = error.message;
  } finally {
    button.disabled = false;
  }
});
`;
