package faultcalc

import (
	"fmt"
	"slices"
)

// shortlist keeps the sets that come first by size, then lexicographically, as
// many as the limit.
type shortlist struct {
	limit, seen int
	kept        []Set
	full        bool
	last        Set // when full: what comes after it is not kept
}

func (l *shortlist) add(s Set) {
	l.seen++
	if l.full && s.Compare(l.last) > 0 {
		return
	}
	l.kept = append(l.kept, s.Clone())
	if len(l.kept) == 2*l.limit+64 {
		l.full, l.last = true, l.sets()[l.limit-1]
	}
}

// sets are what is kept, in order, each once.
func (l *shortlist) sets() []Set {
	slices.SortFunc(l.kept, Set.Compare)
	l.kept = slices.CompactFunc(l.kept, Set.Equal)
	l.kept = l.kept[:min(len(l.kept), l.limit)]
	return l.kept
}

// firstByWalk finds the first keeper or survivable sets without a catalog: by
// a walk through all of them, and if there are too many, by walks through those
// up to a size, for one size after the other. The error says what is certain
// about the list if it may not be the first ones, or if memory does not take
// more of them.
func (m *Model) firstByWalk(most int, survivable bool) ([]Set, error) {
	f := m.cuts()
	limit := maxSorted / (len(m.affected.w) + 4)
	if most > 0 {
		limit = min(limit, most)
	}
	l := &shortlist{limit: limit}
	// Some seconds: what a set or a step costs depends on the edges.
	enough, steps := 1<<31/(f.edges.len()+32), int64(1<<28/(f.edges.len()+32))
	rest := newSet(len(m.nodes))
	for s := range transversals(f) {
		if survivable {
			m.complement(s, rest)
			s = rest
		}
		if l.add(s); l.seen == enough {
			break
		}
	}
	switch {
	case l.seen == enough && survivable:
		return l.sets(), fmt.Errorf("%w: there are more than %d sets; these come first among those that were found", ErrCutShort, enough)
	case l.seen == enough:
		return l.deepen(f, steps)
	case l.seen > limit && limit != most:
		return l.sets(), fmt.Errorf("%w: of %d sets, memory keeps the first %d only", ErrCutShort, l.seen, limit)
	}
	return l.sets(), nil
}

// deepen walks through the sets up to a size, for one size after the other,
// until there are enough or the steps are spent.
func (l *shortlist) deepen(f *family, steps int64) ([]Set, error) {
	certain := &shortlist{limit: l.limit}
	for size := packingBound(f); ; size++ {
		e := newSparseEngine(f)
		e.most, e.steps = size, steps
		e.yield = func(s Set) bool {
			if s.Len() == size {
				certain.add(s)
			}
			return true
		}
		e.run()
		if steps = e.steps; steps < 0 {
			// What was found earlier may fill the gap.
			for _, s := range certain.kept {
				l.add(s)
			}
			return l.sets(), fmt.Errorf("%w: all sets with less than %d nodes are listed; of the others, only those that were found", ErrCutShort, size)
		}
		if certain.seen >= l.limit {
			return certain.sets(), nil
		}
	}
}
