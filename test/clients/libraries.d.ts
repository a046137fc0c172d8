// What the client drivers use of @xmpp/client beyond what test/servers/xmpp-client.d.ts declares.
declare module '@xmpp/client' {
  export interface Client {
    readonly options: { service: string; readonly domain: string }
    readonly socket: { readonly socket?: Cuttable } | null
    readonly streamManagement: EventEmitter
    connect(service: string): Promise<unknown>
    open(options: { readonly domain: string }): Promise<unknown>
  }

  interface Cuttable {
    destroy?(): void
    terminate?(): void
  }
}
