/** The console: the farm as a page, behind the operator's API and nothing else. */
import './tokens.css';
import './look.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { knock } from './session.ts';

const root = document.getElementById('app');
if (root) render(<App />, root);
void knock();
