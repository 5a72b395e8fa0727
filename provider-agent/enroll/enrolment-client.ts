/**
 * The two requests of enrolment, over TLS 1.3 that trusts the pinned authority alone. No error from here carries what was
 * sent: an AxiosError holds the secret and the proxy's credentials, so it is replaced, never attached as a cause.
 */
import { Agent } from 'node:https';
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode, errorCodes, FarshoreError } from '../../shared/errors.ts';
import type { OutboundProxy } from './proxy.ts';

const REQUEST_MS = 30_000;
const ANSWER_BYTES = 64 * 1024;

/** OpenSSL's and Node's words for "not signed by the authority you pinned, or not for this name". */
const foreignCodes = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'INVALID_PURPOSE',
]);

export interface EnrolmentServer {
  /** `https://host:port`. */
  readonly address: string;
  readonly authorityPem: string;
  readonly proxy: OutboundProxy | null;
}

/** Posts, tells the server's time, and reads the answer by its schema. Throws the code that the control plane refused with, or why it was not reached. */
export async function postEnrolment<S extends z.ZodType>(
  server: EnrolmentServer,
  path: '/enrol/v1/register' | '/enrol/v1/renew',
  body: object,
  answerSchema: S,
  onServerTime: (at: number) => void = () => {},
): Promise<z.infer<S>> {
  const { status, text, date } = await post(server, path, body);
  if (!Number.isNaN(date)) onServerTime(date);
  const answer = parseJson(text);
  if (status !== 200) throw refusal(status, answer);
  const parsed = answerSchema.safeParse(answer);
  if (!parsed.success) throw new FarshoreError('ERR_MESSAGE_INVALID', 'the answer of the control plane does not fit its schema');
  return parsed.data;
}

async function post(server: EnrolmentServer, path: string, body: object): Promise<{ status: number; text: string; date: number }> {
  const { default: axios } = await import('axios');
  const { proxy } = server;
  const agent = new Agent({ ca: server.authorityPem, minVersion: 'TLSv1.3', rejectUnauthorized: true, keepAlive: false });
  try {
    const response = await axios.post<string>(new URL(path, server.address).href, body, {
      httpsAgent: agent,
      proxy:
        proxy === null
          ? false
          : { protocol: 'http', host: proxy.host, port: proxy.port, ...(proxy.credentials && { auth: proxy.credentials }) },
      timeout: REQUEST_MS,
      maxRedirects: 0,
      maxContentLength: ANSWER_BYTES,
      responseType: 'text',
      transformResponse: [(text: string) => text],
      validateStatus: () => true,
    });
    return { status: response.status, text: response.data, date: Date.parse(String(response.headers.date)) };
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    const word = typeof code === 'string' ? code : 'no answer';
    if (foreignCodes.has(word))
      throw new FarshoreError('ERR_KEY_FOREIGN', `the server at ${server.address} is not the control plane: ${word}`);
    throw new FarshoreError('ERR_CONTROL_PLANE_UNREACHABLE', `the control plane at ${server.address} was not reached: ${word}`);
  } finally {
    agent.destroy();
  }
}

const Problem = z.object({ code: z.enum(ERROR_CODES) });

/** The operator reads our own table, not text that somebody on the way may have written. */
function refusal(status: number, answer: unknown): FarshoreError {
  const code: ErrorCode | undefined = Problem.safeParse(answer).data?.code;
  if (code !== undefined) return new FarshoreError(code, `the control plane refused: ${errorCodes[code].cause}`);
  if (status === 407) return new FarshoreError('ERR_PROXY_REFUSED', 'the proxy does not accept the credentials');
  return new FarshoreError('ERR_CONTROL_PLANE_UNREACHABLE', `status ${status} without a reason: the answer is not the control plane's`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
