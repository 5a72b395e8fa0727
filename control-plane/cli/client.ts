/**
 * The API as functions, typed by the route table. The server proves itself by the authority that the person gave, and
 * every refusal becomes a FarshoreError with the code and the problems that the server named.
 */
import { Agent } from 'node:https';
import type { Readable } from 'node:stream';
import axios, { type AxiosInstance, type AxiosResponse } from 'axios';
import { ProblemDocument } from '../../shared/api/problem.ts';
import { type RouteAnswer, type RouteCall, type RouteId, routeOf } from '../../shared/api/routes.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { CliConfig } from './config.ts';

type Empty = Record<never, never>;
/** Parts that the route does not have are out; parts whose fields are all optional may be left out. */
type ClientCall<K extends RouteId, T = RouteCall<K>> = {
  [P in keyof T as T[P] extends undefined ? never : Empty extends T[P] ? never : P]: T[P];
} & { [P in keyof T as T[P] extends undefined ? never : Empty extends T[P] ? P : never]?: T[P] };
type CallArguments<K extends RouteId> = Empty extends ClientCall<K> ? [call?: ClientCall<K>] : [call: ClientCall<K>];

interface AnyCall {
  readonly params?: Record<string, string>;
  readonly query?: Record<string, unknown>;
  readonly body?: unknown;
}

const ANSWER_MS = 60_000;

export class Client {
  readonly address: string;
  readonly #http: AxiosInstance;

  constructor({ address, ca, secret }: CliConfig) {
    this.address = address.replace(/\/+$/, '');
    const { hostname } = new URL(address);
    this.#http = axios.create({
      baseURL: this.address,
      timeout: ANSWER_MS,
      maxRedirects: 0,
      validateStatus: null,
      // Nothing on this machine is reached through a proxy; elsewhere HTTPS_PROXY and NO_PROXY hold.
      ...(['127.0.0.1', '::1', '[::1]', 'localhost'].includes(hostname) ? { proxy: false } : {}),
      httpsAgent: new Agent({ keepAlive: true, ...(ca === null ? {} : { ca }) }),
      headers: secret === null ? {} : { Authorization: `Bearer ${secret}` },
    });
  }

  /** Throws the server's refusal, or ERR_CONTROL_PLANE_UNREACHABLE. */
  async call<K extends RouteId>(id: K, ...[given]: CallArguments<K>): Promise<RouteAnswer<K>> {
    const route = routeOf(id);
    const { params = {}, query = {}, body } = (given ?? {}) as AnyCall;
    const url = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
    const response = await this.#reach(() => this.#http.request({ method: route.method, url, params: query, data: body }));
    if (response.status !== route.status) throw refusalOf(response);
    return response.data as RouteAnswer<K>;
  }

  /** The event stream as it comes; `signal` ends it. */
  async openEvents(query: Record<string, string>, lastEventId: number, signal: AbortSignal): Promise<Readable> {
    const response = await this.#reach(() =>
      this.#http.get<Readable>(routeOf('events').path, {
        params: query,
        responseType: 'stream',
        signal,
        timeout: 0,
        headers: { Accept: 'text/event-stream', 'Last-Event-ID': String(lastEventId) },
      }),
    );
    if (response.status === 200) return response.data;
    let text = '';
    for await (const part of response.data.setEncoding('utf8')) text += part;
    throw refusalOf({ ...response, data: text });
  }

  async #reach<T>(request: () => Promise<AxiosResponse<T>>): Promise<AxiosResponse<T>> {
    try {
      return await request();
    } catch (thrown) {
      const why = thrown instanceof Error ? (thrown as Error & { code?: string }) : undefined;
      const isForeign = /CERT|SELF_SIGNED|ALTNAME|VERIFY/.test(why?.code ?? '');
      const reason = isForeign ? 'its certificate is not by the authority given with --ca' : (why?.code ?? why?.message ?? 'no answer');
      // The error of the HTTP library holds the request, and with it the credential: it is not passed on.
      throw new FarshoreError('ERR_CONTROL_PLANE_UNREACHABLE', `${this.address} cannot be used: ${reason}`);
    }
  }
}

function refusalOf({ status, data }: AxiosResponse<unknown>): FarshoreError {
  const problem = ProblemDocument.safeParse(typeof data === 'string' ? parseJson(data) : data).data;
  if (problem === undefined) return new FarshoreError('ERR_CONTROL_PLANE_UNREACHABLE', `something else answers there (HTTP ${status})`);
  const problems = problem.problems.map((entry) => ({ ...entry }) as FarshoreError['problems'][number]);
  return new FarshoreError(problem.code, problem.detail, { problems });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
