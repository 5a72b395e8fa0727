/** What an agent finds when it looks at the network of its site: ports that a test opens and addresses that it lets answer. */
import type { NetworkLooks } from '../../provider-agent/commands/network-looks.ts';

export class TestNetwork implements NetworkLooks {
  /** `host:port` */
  readonly open = new Set<string>();
  readonly statuses = new Map<string, number>();
  looks = 0;

  async connects(host: string, port: number): Promise<boolean> {
    this.looks++;
    return this.open.has(`${host}:${port}`);
  }

  async httpStatus(url: string): Promise<number | null> {
    this.looks++;
    return this.statuses.get(url) ?? null;
  }
}
