/**
 * What a boot loader's script cannot carry to a kernel. iPXE expands settings and splits a line at its blanks before it knows what is an argument, has
 * no quotes, and joins the words by one blank each: seen with iPXE 1.0.0 (test/integration/ipxe.test.ts).
 */

/** In the syntax that RE2 (CEL) and JavaScript share: a setting, a comment, an operator between blanks, two blanks. */
export const NOT_CARRIED = String.raw`\$\{|(^| )(#|(&&|\|\||;)( |$))|  `;

const expression = new RegExp(NOT_CARRIED);

/** The piece of a command line that would not come to the kernel as it is; undefined: all of it comes. */
export const notCarried = (commandLine: string): string | undefined => expression.exec(commandLine)?.[0];
