// Command judge says what Argo CD and Flux say of an object, by their own engines: gopher-lua with the libraries that Argo CD opens, kstatus as
// Flux has it, cel-go with the options of Flux. It reads one question and writes one answer, both a line of JSON, until its input ends. The whole of
// Flux' package for expressions would bring client-go with it; `make test-gitops` runs the real controllers.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// question holds one of lua and expressions, or neither: then kstatus judges.
type question struct {
	Object      json.RawMessage `json:"object"`
	Lua         string          `json:"lua"`
	Expressions *expressions    `json:"expressions"`
}

// expressions are those of an entry of healthCheckExprs.
type expressions struct {
	InProgress string `json:"inProgress"`
	Failed     string `json:"failed"`
	Current    string `json:"current"`
}

type answer struct {
	Status  string `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	Error   string `json:"error,omitempty"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		said, err := judge(lines.Bytes())
		if err != nil {
			said = answer{Error: err.Error()}
		}
		if err := answers.Encode(said); err != nil {
			os.Exit(1)
		}
	}
}

func judge(line []byte) (answer, error) {
	var asked question
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{}, err
	}
	// Numbers that are whole become int64, as in what comes from an API server.
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(asked.Object); err != nil {
		return answer{}, err
	}
	switch {
	case asked.Lua != "":
		return byLua(object, asked.Lua)
	case asked.Expressions != nil:
		return byExpressions(object, asked.Expressions)
	}
	result, err := status.Compute(object)
	if err != nil {
		return answer{}, err
	}
	return answer{Status: string(result.Status), Message: result.Message}, nil
}

// byExpressions looks in the order that Flux' RFC 0009 gives.
func byExpressions(object *unstructured.Unstructured, asked *expressions) (answer, error) {
	observed, told, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	if told && observed != object.GetGeneration() {
		return answer{Status: string(status.InProgressStatus)}, nil
	}
	for _, one := range []struct {
		expression string
		means      status.Status
	}{{asked.InProgress, status.InProgressStatus}, {asked.Failed, status.FailedStatus}, {asked.Current, status.CurrentStatus}} {
		if one.expression == "" {
			continue
		}
		holds, err := evaluate(one.expression, object.Object)
		if err != nil {
			return answer{}, err
		}
		if holds {
			return answer{Status: string(one.means)}, nil
		}
	}
	return answer{Status: string(status.InProgressStatus)}, nil
}

func evaluate(expression string, object map[string]any) (bool, error) {
	env, err := cel.NewEnv(
		cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders(),
	)
	if err != nil {
		return false, err
	}
	parsed, issues := env.Parse(expression)
	if issues != nil {
		return false, issues.Err()
	}
	program, err := env.Program(parsed, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return false, err
	}
	value, _, err := program.Eval(object)
	if err != nil {
		return false, err
	}
	if holds, ok := value.(types.Bool); ok {
		return bool(holds), nil
	}
	return false, fmt.Errorf("%s gives %s, not a bool", expression, value.Type())
}

// byLua opens what Argo CD opens: no string, no math. What is being deleted Argo CD judges by itself, before any script.
func byLua(object *unstructured.Unstructured, script string) (answer, error) {
	if object.GetDeletionTimestamp() != nil {
		return answer{Status: "Progressing", Message: "Pending deletion"}, nil
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		state.Push(state.NewFunction(library.open))
		state.Push(lua.LString(library.name))
		state.Call(1, 0)
	}
	state.SetGlobal("obj", valueOf(state, object.Object))
	if err := state.DoString(script); err != nil {
		return answer{}, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return answer{}, fmt.Errorf("the script gives %s, not a table", state.Get(-1).Type())
	}
	return answer{Status: lua.LVAsString(table.RawGetString("status")), Message: lua.LVAsString(table.RawGetString("message"))}, nil
}

func valueOf(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.CreateTable(len(value), 0)
		for _, item := range value {
			table.Append(valueOf(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(value))
		for key, item := range value {
			table.RawSetString(key, valueOf(state, item))
		}
		return table
	}
	return lua.LNil
}
