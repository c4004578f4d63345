/** What web/ uses of ComfyUI's /scripts/api.js, and no more. */

export const api: {
  fetchApi(route: string, options?: RequestInit): Promise<Response>
  apiURL(route: string): string
  addEventListener(type: string, listener: (event: CustomEvent) => void): void
  removeEventListener(type: string, listener: (event: CustomEvent) => void): void
}
