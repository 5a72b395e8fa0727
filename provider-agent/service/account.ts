/** The account of the service: one that has no password which people know, and is not the system itself. */
import { FarshoreError } from '../../shared/errors.ts';

export interface ServiceAccount {
  readonly name: string;
  /** A group managed service account: Windows keeps its password, and it must be given the right to log on as a service. */
  readonly isManaged: boolean;
}

const ALLOWED = "a group managed service account DOMAIN\\name$, or the service's own account 'NT SERVICE\\<service name>'";
const system = ['localsystem', 'system', 'nt authority\\system', '.\\localsystem'];

/** Throws ERR_REQUEST_INVALID. */
export function readAccount(text: string, serviceName: string): ServiceAccount {
  if (system.includes(text.trim().toLowerCase()))
    throw refusal(text, 'the agent does not run as LocalSystem: that account may do everything on this server, and the agent needs little');
  if (text.toLowerCase() === `nt service\\${serviceName.toLowerCase()}`) return { name: `NT SERVICE\\${serviceName}`, isManaged: false };
  if (/^[a-z0-9.-]{1,255}\\[^\\/[\]:;|=,+*?<>"@\s\p{Cc}]{1,64}\$$/iu.test(text)) return { name: text, isManaged: true };
  throw refusal(
    text,
    `'${text}' is no account for the service; one with a password is not taken, because an argument is read by other users`,
  );
}

function refusal(text: string, message: string): FarshoreError {
  return new FarshoreError('ERR_REQUEST_INVALID', message, {
    problems: [{ field: '--account', message: `is '${text}'`, allowed: ALLOWED }],
  });
}
