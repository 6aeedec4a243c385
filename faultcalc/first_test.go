package faultcalc

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// sortedSets are the minimal transversals by size, then lexicographically.
func sortedSets(f *family) []Set {
	var list []Set
	for s := range transversals(f) {
		list = append(list, s.Clone())
	}
	slices.SortFunc(list, Set.Compare)
	return list
}

// equal compares a list with what is expected; the sets may be longer.
func equal(t interface{ Fatalf(string, ...any) }, what string, got, want []Set) {
	if !slices.EqualFunc(got, want, Set.Equal) {
		t.Fatalf("%s: %d sets, want %d, or in another order", what, len(got), len(want))
	}
}

func modelOf(t interface{ Fatal(...any) }, f *family) *Model {
	m, err := Compile(topologyOf(f.n, edgesOf(f)), "t", LevelMachine)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The diagrams, the lists, and the walks by size give the same first sets.
func TestFirstSetsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := randomFamily(t)
		m := modelOf(t, f)
		var facets []Set
		keepers := sortedSets(f)
		for _, s := range keepers {
			facets = append(facets, m.affected.Minus(s))
		}
		slices.SortFunc(facets, Set.Compare)
		most := rapid.IntRange(1, 20).Draw(t, "most")

		var got []Set
		read := func(c *catalog, largest bool) {
			got = nil
			for sets := range c.bySize(largest) {
				for s := range sets {
					if largest {
						s = m.affected.Minus(s)
					}
					got = append(got, s.Clone())
				}
			}
		}
		read(newCatalog(f), false)
		equal(t, "read", got, keepers)
		read(newCatalog(f), true)
		equal(t, "read backwards", got, facets)
		for _, part := range split(f) {
			c := newCatalog(part)
			z, root, ok := c.listed(part, len(c.order), 1<<20)
			if !ok {
				t.Fatal("the list is too long")
			}
			p := catalogPart{nodes: z, root: root}
			p.measure()
			c.parts[0] = p
			read(c, false)
			equal(t, "listed", got, sortedSets(part))
		}

		walked, err := m.firstByWalk(most, false)
		equal(t, "walked", walked, keepers[:min(most, len(keepers))])
		if err == nil {
			walked, err = m.firstByWalk(most, true)
		}
		equal(t, "walked for survivable sets", walked, facets[:min(most, len(facets))])
		if err != nil {
			t.Fatal(err)
		}
		for v := range m.probability {
			m.probability[v] = rapid.SampledFrom([]float64{0.1, 0.2}).Draw(t, "p")
		}
		got = nil
		for s := range m.survivableSets() {
			got = append(got, s.Clone())
		}
		m.sortSets(facets)
		equal(t, "by probability", got, facets)

		l := &shortlist{limit: min(most, len(keepers))}
		deepened, err := l.deepen(f, 1<<20)
		equal(t, "by size", deepened, keepers[:l.limit])
		if err != nil {
			t.Fatal(err)
		}
		if l.limit > 1 {
			for s := range transversals(f) {
				l.add(s)
			}
			if all, err := l.deepen(f, 0); !errors.Is(err, ErrCutShort) {
				t.Fatalf("no steps, but %d sets and %v", len(all), err)
			}
			equal(t, "without steps", l.sets(), keepers[:l.limit])
		}
	})
}

// The first sets of very many come without the others, in order.
func TestFirstOfVeryMany(t *testing.T) {
	for _, f := range []*family{inputRing(100, 3), inputParts(8, 10), inputParts(300, 3), inputM(400), inputFano(40)} {
		m := modelOf(t, f)
		for _, list := range []func(int) func(func(Set, error) bool){
			func(most int) func(func(Set, error) bool) { return m.FirstKeeperSets(most) },
			func(most int) func(func(Set, error) bool) { return m.FirstSurvivableSets(most) },
		} {
			var before Set
			n := 0
			for s, err := range list(1000) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n > 1 && before.Compare(s) >= 0 {
					t.Fatalf("%d nodes: set %d is not in order", f.n, n)
				}
				if !m.onBoundary(s) && !m.onBoundary(m.affected.Minus(s)) {
					t.Fatalf("%d nodes: set %d is neither", f.n, n)
				}
				before = s.Clone()
			}
			if n != 1000 {
				t.Errorf("%d nodes: %d sets", f.n, n)
			}
		}
	}
}

// A shortlist is the beginning of the sorted list, in whatever order sets come,
// and holds little more.
func TestShortlist(t *testing.T) {
	var all []Set
	for _, bits := range rand.New(rand.NewPCG(1, 5)).Perm(512) {
		all = append(all, Set{[]uint64{uint64(bits)}})
	}
	want := slices.SortedFunc(slices.Values(all), Set.Compare)
	for _, limit := range []int{1, 7, 100, 511, 512, 600} {
		l := &shortlist{limit: limit}
		for _, s := range all {
			if l.add(s); len(l.kept) > 2*limit+64 {
				t.Fatalf("limit %d: %d are kept", limit, len(l.kept))
			}
		}
		equal(t, "shortlist", l.sets(), want[:min(limit, len(want))])
		if l.seen != len(all) {
			t.Errorf("limit %d: %d seen", limit, l.seen)
		}
	}
}
