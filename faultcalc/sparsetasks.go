package faultcalc

// clone returns an engine at the start of a walk through the same family.
func (e *sparseEngine) clone() *sparseEngine { return newSparseEngine(e.f) }

func (e *sparseEngine) top(give func() bool) {
	e.give, e.branches = give, 1
	e.run()
}

// load undoes what was loaded before, and repeats the choices of the other
// engine. The uncovered edges then are in another order, on which nothing
// depends.
func (e *sparseEngine) load(at *sparseEngine) {
	for v := range e.chosen.All() {
		e.unchoose(int32(v))
	}
	for v, in := range e.cand {
		if !in && len(e.at.row(v)) > 0 {
			e.restore(int32(v))
		}
	}
	for v, in := range at.cand {
		if !in && e.cand[v] {
			e.drop(int32(v))
		}
	}
	e.trail = e.trail[:0]
	for v := range at.chosen.All() {
		e.choose(int32(v))
	}
}

func (e *sparseEngine) finish(to *lane, most int64) (int64, bool) {
	found := int64(0)
	e.yield = func(s Set) bool {
		found++
		return found <= most && (to == nil || to.put(s.w...))
	}
	more := e.run()
	return found, more
}

// walkAll yields every minimal transversal as a borrowed set.
func (e *sparseEngine) walkAll(workers int, yield func(Set) bool) {
	if workers < 2 {
		e.yield = yield
		e.run()
		return
	}
	each := len(e.chosen.w)
	inOrder(e, workers, func(words []uint64) bool {
		for ; len(words) > 0; words = words[each:] {
			if !yield(Set{words[:each:each]}) {
				return false
			}
		}
		return true
	})
}
