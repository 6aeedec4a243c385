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

// searchFor bounds the search for the order of the operations on all objects of a case. It is the one limit of a judge that is not in
// the history: where it is reached, on a slow host sooner than on a fast one, nobody knows.
var searchFor = 10 * time.Second

// class is a class of objects that clients change and look at by their keys.
type class struct {
	noun         string
	change, look history.OpKind
	seen         func(look *history.Op) []int64 // values that were brought in by changes
	describe     func(*history.Op) string
	model        porcupine.Model // of operations as inputs
}

var classes = []*class{registers, lists}

// classOf is the class that an operation is about, or nil.
func classOf(kind history.OpKind) *class {
	for _, c := range classes {
		if kind == c.change || kind == c.look {
			return c
		}
	}
	return nil
}

// object is one of a class.
type object struct {
	*class
	shard int
	key   string
}

func (o object) String() string { return o.noun + " " + o.key }

// never is when an operation ends that got no answer.
const never = time.Duration(math.MaxInt64)

// access is an operation on an object.
type access struct {
	op *history.Op
	interval
}

// consistent: the operations on each register and each list are linearizable: they could have happened one after the other, each at one
// moment between its start and its answer, and each look would have returned what the changes before it had made.
func consistent(e *Evidence) (found []Finding) {
	began := time.Now()
	for _, of := range e.sortedObjects() {
		accesses := decisive(of.class, e.objects[of])
		result, info := order(of.class, accesses, searchFor-time.Since(began))
		switch result {
		case porcupine.Illegal:
			f := Finding{
				Judge: consistency, Outcome: Fail, Blame: Product, Shard: of.shard, Picture: e.picture(of),
				Message: fmt.Sprintf("shard %d: %d operations on %s are not linearizable", of.shard, len(accesses), of),
			}
			if odd := oddOne(info, accesses); odd != nil {
				f.From, f.To = odd.from, odd.to
				f.Message += fmt.Sprintf("; %s by %s%s does not fit", of.describe(odd.op), odd.op.Client, e.sinceInjection(odd.interval))
			}
			found = append(found, f)
		case porcupine.Unknown:
			found = append(found, Finding{
				Judge: consistency, Outcome: Indeterminate, Blame: Harness, Shard: of.shard,
				Message: fmt.Sprintf("shard %d: whether %d operations on %s are linearizable was not found out in %s", of.shard, len(accesses), of, seconds(searchFor)),
			})
		case porcupine.Ok:
		}
	}
	return found
}

func (e *Evidence) sortedObjects() []object {
	return slices.SortedFunc(maps.Keys(e.objects), func(a, b object) int {
		return cmp.Or(cmp.Compare(a.shard, b.shard), cmp.Compare(a.noun, b.noun), cmp.Compare(a.key, b.key))
	})
}

// decisive leaves out what says nothing: refused operations, looks without an answer, and changes of uncertain outcome whose
// value nobody saw. Such a change fits wherever the others fit, since it can be taken never to have happened; where
// its value was seen, it may have happened at any time after its start.
func decisive(of *class, all []access) []access {
	seen := map[int64]bool{}
	for _, a := range all {
		if a.op.Kind == of.look && a.op.Outcome == history.OK {
			for _, value := range of.seen(a.op) {
				seen[value] = true
			}
		}
	}
	var some []access
	for _, a := range all {
		switch {
		case a.op.Outcome == history.OK:
		case a.op.Outcome == history.Unknown && a.op.Kind == of.change && seen[a.op.Value]:
			a.to = never
		default:
			continue
		}
		some = append(some, a)
	}
	return some
}

// registers have the value 0 at first.
var registers = &class{
	noun: "register", change: history.OpSet, look: history.OpGet,
	seen: func(op *history.Op) []int64 { return []int64{op.Value} },
	describe: func(op *history.Op) string {
		if op.Kind == history.OpSet {
			return fmt.Sprintf("set %d", op.Value)
		}
		return fmt.Sprintf("get of %d", op.Value)
	},
	model: porcupine.Model{
		Init: func() any { return int64(0) },
		Step: func(state, input, _ any) (bool, any) {
			op := input.(*history.Op)
			if op.Kind == history.OpSet {
				return true, op.Value
			}
			return state == op.Value, state
		},
	},
}

// order searches an order of the operations.
func order(of *class, accesses []access, limit time.Duration) (porcupine.CheckResult, porcupine.LinearizationInfo) {
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
	return porcupine.CheckOperationsVerbose(of.model, operations, max(limit, time.Millisecond))
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

// picture is the file that shows why the operations on an object are not linearizable, in the run's directory.
func (e *Evidence) picture(of object) string {
	safe := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`:+/\ `, r) {
			return '-'
		}
		return r
	}, e.Case+"-"+of.key)
	return "consistency-" + safe + ".html"
}

// draw makes the pictures of all objects whose operations are not linearizable.
func (e *Evidence) draw(dir string) error {
	for _, of := range e.sortedObjects() {
		result, info := order(of.class, decisive(of.class, e.objects[of]), searchFor)
		if result != porcupine.Illegal {
			continue
		}
		model := of.model
		model.DescribeOperation = func(input, _ any) string { return of.describe(input.(*history.Op)) }
		if err := porcupine.VisualizePath(model, info, filepath.Join(dir, e.picture(of))); err != nil {
			return fmt.Errorf("draw the operations on %s: %w", of, err)
		}
	}
	return nil
}
