package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/cutset-dev/cutset/framework/history"
)

const consistency = "consistency"

// searchFor bounds the search for the order of the operations on all registers of a case. It is the one limit of a judge that is not in
// the history: where it is reached, on a slow host sooner than on a fast one, nobody knows.
var searchFor = 10 * time.Second

type register struct {
	shard int
	key   string
}

// never is when an operation ends that got no answer.
const never = time.Duration(math.MaxInt64)

// access is an operation on a register.
type access struct {
	op *history.Op
	interval
}

// consistent: the operations on each register are linearizable: they could have happened one after the other, each at one
// moment between its start and its answer, and each get would have returned what the last set before it had set.
func consistent(e *Evidence) (found []Finding) {
	began := time.Now()
	for _, of := range e.sortedRegisters() {
		accesses := decisive(e.registers[of])
		result, info := order(accesses, searchFor-time.Since(began))
		switch result {
		case porcupine.Illegal:
			f := Finding{
				Judge: consistency, Outcome: Fail, Blame: Product, Shard: of.shard, Picture: e.picture(of),
				Message: fmt.Sprintf("shard %d: %d operations on register %s are not linearizable", of.shard, len(accesses), of.key),
			}
			if odd := oddOne(info, accesses); odd != nil {
				f.From, f.To = odd.from, odd.to
				f.Message += fmt.Sprintf("; %s by %s%s does not fit", describe(odd.op), odd.op.Client, e.sinceInjection(odd.interval))
			}
			found = append(found, f)
		case porcupine.Unknown:
			found = append(found, Finding{
				Judge: consistency, Outcome: Indeterminate, Blame: Harness, Shard: of.shard,
				Message: fmt.Sprintf("shard %d: whether %d operations on register %s are linearizable was not found out in %s", of.shard, len(accesses), of.key, seconds(searchFor)),
			})
		case porcupine.Ok:
		}
	}
	return found
}

func (e *Evidence) sortedRegisters() []register {
	return slices.SortedFunc(maps.Keys(e.registers), func(a, b register) int {
		return cmp.Or(cmp.Compare(a.shard, b.shard), cmp.Compare(a.key, b.key))
	})
}

// decisive leaves out what says nothing: refused operations, gets without an answer, and sets of uncertain outcome whose
// value nobody got. Such a set fits wherever the others fit, since it can be taken never to have happened; where
// its value was got, it may have happened at any time after its start.
func decisive(all []access) []access {
	got := map[int64]bool{}
	for _, a := range all {
		if a.op.Kind == history.OpGet && a.op.Outcome == history.OK {
			got[a.op.Value] = true
		}
	}
	var some []access
	for _, a := range all {
		switch {
		case a.op.Outcome == history.OK:
		case a.op.Outcome == history.Unknown && a.op.Kind == history.OpSet && got[a.op.Value]:
			a.to = never
		default:
			continue
		}
		some = append(some, a)
	}
	return some
}

// model is a register of value 0 at first.
var model = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, _ any) (bool, any) {
		op := input.(*history.Op)
		if op.Kind == history.OpSet {
			return true, op.Value
		}
		return state == op.Value, state
	},
	DescribeOperation: func(input, _ any) string {
		return describe(input.(*history.Op))
	},
}

func describe(op *history.Op) string {
	if op.Kind == history.OpSet {
		return fmt.Sprintf("set %d", op.Value)
	}
	return fmt.Sprintf("get of %d", op.Value)
}

// order searches an order of the operations.
func order(accesses []access, limit time.Duration) (porcupine.CheckResult, porcupine.LinearizationInfo) {
	clients := map[string]int{}
	operations := make([]porcupine.Operation, len(accesses))
	var end time.Duration
	for _, a := range accesses {
		end = max(end, a.from+1)
		if a.to < never {
			end = max(end, a.to+1)
		}
	}
	for i, a := range accesses {
		client := a.op.Client
		if a.to == never {
			a.to = end
			client = fmt.Sprint(client, " ", i) // which does something else meanwhile
		}
		if _, known := clients[client]; !known {
			clients[client] = len(clients)
		}
		operations[i] = porcupine.Operation{ClientId: clients[client], Input: a.op, Call: int64(a.from), Return: int64(a.to)}
	}
	return porcupine.CheckOperationsVerbose(model, operations, max(limit, time.Millisecond))
}

// oddOne is the first operation that the longest order does not have.
func oddOne(info porcupine.LinearizationInfo, accesses []access) *access {
	fits := map[*history.Op]bool{}
	for _, partition := range info.PartialLinearizationsOperations() {
		longest := slices.MaxFunc(append(partition, nil), func(a, b []porcupine.Operation) int { return cmp.Compare(len(a), len(b)) })
		for _, operation := range longest {
			fits[operation.Input.(*history.Op)] = true
		}
	}
	rest := slices.DeleteFunc(slices.Clone(accesses), func(a access) bool { return fits[a.op] })
	if len(rest) == 0 {
		return nil
	}
	first := slices.MinFunc(rest, func(a, b access) int { return cmp.Compare(a.to, b.to) })
	return &first
}

// picture is the file that shows why the operations on a register are not linearizable, in the run's directory.
func (e *Evidence) picture(of register) string {
	safe := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`:+/\ `, r) {
			return '-'
		}
		return r
	}, e.Case+"-"+of.key)
	return "consistency-" + safe + ".html"
}

// draw makes the pictures of all registers whose operations are not linearizable.
func (e *Evidence) draw(dir string) error {
	for _, of := range e.sortedRegisters() {
		result, info := order(decisive(e.registers[of]), searchFor)
		if result != porcupine.Illegal {
			continue
		}
		if err := porcupine.VisualizePath(model, info, filepath.Join(dir, e.picture(of))); err != nil {
			return fmt.Errorf("draw the operations on register %s: %w", of.key, err)
		}
	}
	return nil
}
