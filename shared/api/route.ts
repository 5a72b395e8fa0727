/**
 * What a row of the route table says, and the types that server and client draw from it. Who may call a route is in the
 * row and nowhere else.
 */
import type { z } from 'zod';
import type { ErrorCode } from '../errors.ts';
import type { Role } from './fields.ts';

export interface Route {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** With parameters in braces: `/api/v1/sites/{siteId}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  /** The least role that may call it; `public` needs no credential. */
  readonly access: 'public' | Role;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** 64 where nothing is said. */
  readonly bodyKilobytes?: number;
  readonly status: 200 | 201 | 202 | 204;
  /** Absent: no content, or a stream. */
  readonly answer?: z.ZodType;
  readonly isStream?: true;
  /** Beside those that every route may answer with. */
  readonly errors: readonly ErrorCode[];
}

type Given<S, Else> = S extends z.ZodType ? z.input<S> : Else;
type Taken<S, Else> = S extends z.ZodType ? z.output<S> : Else;
type Field<R, K extends string> = R extends { readonly [key in K]: infer S } ? S : undefined;

/** What a client sends: before defaults are filled in. */
export interface CallOf<R> {
  params: Given<Field<R, 'params'>, undefined>;
  query: Given<Field<R, 'query'>, undefined>;
  body: Given<Field<R, 'body'>, undefined>;
}

/** What a handler gets: checked, with defaults. */
export interface InputOf<R> {
  readonly params: Taken<Field<R, 'params'>, undefined>;
  readonly query: Taken<Field<R, 'query'>, undefined>;
  readonly body: Taken<Field<R, 'body'>, undefined>;
}

/** What a handler answers, before the schema takes out what it does not name. */
export type AnswerGiven<R> = Given<Field<R, 'answer'>, undefined>;
export type AnswerOf<R> = Taken<Field<R, 'answer'>, undefined>;
