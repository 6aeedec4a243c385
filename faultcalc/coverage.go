package faultcalc

import (
	"iter"
	"math/big"
)

// Coverage is how much of what can fail a list of fault sets decides.
type Coverage struct {
	// Cases is the number of distinct fault sets in the list, as sets of
	// affected nodes.
	Cases int
	// DecidedShare is Decided / PowerSet, 0 to 1.
	DecidedShare float64
	// Decided is the number of fault sets whose outcome follows by
	// monotonicity: supersets of an unavailable case, subsets of an available
	// one. Nil if it could not be counted within the budget of the diagram;
	// DecidedShare is 0 then.
	Decided *big.Int
	// PowerSet is 2^n, n the number of affected nodes.
	PowerSet *big.Int
	// CutsCovered of Cuts minimal cut sets are in the list.
	CutsCovered, Cuts int
	// FacetsCovered maximal survivable sets are in the list.
	FacetsCovered int
}

// Coverage tells what a list of fault sets decides, given the predictions of
// this model. The sets may be borrowed ones.
func (m *Model) Coverage(failed iter.Seq[Set]) Coverage {
	c := Coverage{PowerSet: new(big.Int).Lsh(big.NewInt(1), uint(m.nAffected))}
	seen := map[string]bool{}
	// A fault set is decided by an unavailable case that it contains, or by an
	// available case that contains it: it then misses all that the case spares.
	down := csr{off: []int32{0}}
	spared := csr{off: []int32{0}}
	for s := range failed {
		s = m.affected.Minus(m.affected.Minus(s))
		if key := s.key(); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		boundary := m.onBoundary(s)
		if m.Availability(s) == Unavailable {
			down.elem = s.appendIndices(down.elem)
			down.close()
			if boundary {
				c.CutsCovered++
			}
			continue
		}
		spared.elem = m.affected.Minus(s).appendIndices(spared.elem)
		spared.close()
		if boundary {
			c.FacetsCovered++
		}
	}
	c.Cases = len(seen)
	c.Cuts = m.cuts().edges.len()
	c.Decided = m.countDecided(down, spared)
	if c.Decided != nil {
		c.DecidedShare, _ = new(big.Rat).SetFrac(c.Decided, c.PowerSet).Float64()
	}
	return c
}

// countDecided counts the supersets of the down sets and, by complement, the
// sets that contain a spared set; no set is both.
func (m *Model) countDecided(down, spared csr) *big.Int {
	decided := new(big.Int)
	for _, edges := range []csr{down, spared} {
		f := newFamily(len(m.nodes), edges)
		// X contains no edge exactly when its complement hits all of them.
		none, err := countHitting(f, m.nAffected, bddBudget)
		if err != nil {
			return nil
		}
		all := new(big.Int).Lsh(big.NewInt(1), uint(m.nAffected))
		decided.Add(decided, all.Sub(all, none))
	}
	return decided
}
