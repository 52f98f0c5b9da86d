/**
 * Questions that come in one turn of the event loop, asked together: what a round trip costs is shared by all of them. The first waits for the end of
 * the turn, which is when the sockets have given what they hold (of UDP 32 packets each).
 */
export function gathered<Question, Answer>(
  askAll: (questions: readonly Question[]) => Promise<readonly Answer[]>,
): (question: Question) => Promise<Answer> {
  let waiting: Question[] = [];
  let answers: Promise<readonly Answer[]> | undefined;
  const turnEnds = async (): Promise<readonly Answer[]> => {
    await new Promise(setImmediate);
    const questions = waiting;
    waiting = [];
    answers = undefined;
    return askAll(questions);
  };
  return async (question) => {
    const place = waiting.push(question) - 1;
    answers ??= turnEnds();
    return (await answers)[place] as Answer;
  };
}
