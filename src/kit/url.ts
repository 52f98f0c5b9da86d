/** An address for people: without what lets in (a name, a password, a signature in its query), also where it is none. */
export const shownUrl = (url: string): string => url.replace(/\/\/[^/?#]*@/, '//').replace(/[?#].*$/s, '');
