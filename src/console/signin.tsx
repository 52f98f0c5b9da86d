/** Who is not known yet pastes a token. It is kept in memory alone: `ask.ts`. */
import { useState } from 'preact/hooks';
import { Problem } from './parts.tsx';
import { knock } from './session.ts';

export function SignIn({ reason }: { readonly reason: string | undefined }) {
  const [token, setToken] = useState('');
  return (
    <main class="door">
      <h1>bootfarm</h1>
      {reason !== undefined && <Problem>{reason}</Problem>}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void knock(token.trim());
        }}
      >
        <label for="token">Token of the cluster</label>
        <p id="token-help">
          From your desk <code>bootfarm console</code> opens this page with your kubeconfig, and asks for no token. Else
          paste one: <code>kubectl create token NAME -n NAMESPACE</code>. It is kept in the memory of this tab alone,
          and is gone with a reload.
        </p>
        <input
          id="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          aria-describedby="token-help"
          value={token}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
        <button type="submit" class="primary">
          Open
        </button>
      </form>
    </main>
  );
}
