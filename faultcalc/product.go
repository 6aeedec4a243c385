package faultcalc

import (
	"cmp"
	"iter"
	"slices"
)

// mostListed is how many words the lists of components may take (4 MB).
const mostListed = 1 << 19

// product yields the unions of one minimal transversal of each component,
// which are the minimal transversals of the whole. It holds the list of each
// component, never a list of unions. Components whose lists would take more
// than mostListed words together are walked anew for every union of those
// before them: that costs no more than one walk through everything, which
// would do the same.
type product struct {
	walked  []*family // outermost, the first one walked with all workers
	listed  []tape    // innermost
	workers int
	set     Set
	yield   func(Set) bool
}

// tape is a list of sets, as the words that any of them has nodes in.
type tape struct {
	at   []int32  // the index of each such word
	rows []uint64 // len(at) words per set
}

// newProduct orders the components by what they are likely to cost, as far as
// that can be told: the largest are not listed if not all can be. The first
// one walked is walked only once, so that there is no use in its list.
func newProduct(parts []*family, workers int) *product {
	p := &product{workers: workers, set: newSet(parts[0].n)}
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b *family) int { return cmp.Compare(len(a.edges.elem), len(b.edges.elem)) })
	left := mostListed
	for len(parts) > 1 {
		t, ok := record(parts[0], left)
		if !ok {
			break
		}
		left -= len(t.rows)
		p.listed, parts = append(p.listed, t), parts[1:]
	}
	slices.Reverse(parts)
	p.walked = parts
	// The innermost loop is the one that pays off: the longest list goes there.
	slices.SortStableFunc(p.listed, func(a, b tape) int { return cmp.Compare(a.len(), b.len()) })
	return p
}

func (t *tape) len() int { return len(t.rows) / len(t.at) }

// record lists the minimal transversals of a component, unless they take more
// than that many words.
func record(f *family, most int) (t tape, ok bool) {
	for _, v := range f.edges.elem {
		t.at = append(t.at, v>>6)
	}
	slices.Sort(t.at)
	t.at = slices.Compact(t.at)
	for s := range walk(f, components(f), 1) {
		if len(t.rows)+len(t.at) > most {
			return tape{}, false
		}
		for _, k := range t.at {
			t.rows = append(t.rows, s.w[k])
		}
	}
	return t, true
}

// walkFrom yields the unions for components i and on, with what the set has of
// those before; it leaves the set as it was unless it returns false.
func (p *product) walkFrom(i int) bool {
	if i >= len(p.walked) {
		return p.replayFrom(i - len(p.walked))
	}
	workers := 1
	if i == 0 {
		workers = p.workers
	}
	for s := range walk(p.walked[i], components(p.walked[i]), workers) {
		for k, word := range s.w {
			p.set.w[k] ^= word
		}
		if !p.walkFrom(i + 1) {
			return false
		}
		for k, word := range s.w {
			p.set.w[k] ^= word
		}
	}
	return true
}

func (p *product) replayFrom(i int) bool {
	if i == len(p.listed) {
		return p.yield(p.set)
	}
	t, last := &p.listed[i], i == len(p.listed)-1
	width := len(t.at)
	for rows := t.rows; len(rows) > 0; rows = rows[width:] {
		p.flip(t, rows)
		more := false
		if last {
			more = p.yield(p.set)
		} else {
			more = p.replayFrom(i + 1)
		}
		if !more {
			return false
		}
		p.flip(t, rows)
	}
	return true
}

// flip adds or removes the first set of rows.
func (p *product) flip(t *tape, rows []uint64) {
	for k, at := range t.at {
		p.set.w[at] ^= rows[k]
	}
}

// walk yields the minimal transversals of a family with these components.
func walk(f *family, comps [][]int32, workers int) iter.Seq[Set] {
	return func(yield func(Set) bool) {
		if e := wordEngineOf(f, comps); e != nil {
			e.walkAll(f.n, workers, yield)
			return
		}
		newSparseEngine(f).walkAll(workers, yield)
	}
}
