/** Shows an error of the page in its place, instead of nothing at all. */
import { Component } from "react";
import type { ReactNode } from "react";
import { Failure } from "./controls.tsx";

export class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: undefined };

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === undefined) return this.props.children;
    return (
      <div className="centre">
        <Failure error={this.state.error} onRetry={() => location.reload()} retryLabel="Reload" />
      </div>
    );
  }
}
