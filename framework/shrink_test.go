package framework

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// What is found fails, and with any node less it does not; each part is tried a bounded number of times.
func TestMinimize(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	for range 300 {
		nodes := make([]string, 1+random.IntN(9))
		for i := range nodes {
			nodes[i] = fmt.Sprint("m", i)
		}
		culprit := slices.DeleteFunc(slices.Clone(nodes), func(string) bool { return random.IntN(3) > 0 })
		if len(culprit) == 0 {
			culprit = nodes[:1]
		}
		tries := 0
		fails := func(part []string) (bool, error) {
			tries++
			return !slices.ContainsFunc(culprit, func(n string) bool { return !slices.Contains(part, n) }), nil
		}
		got, err := minimize(nodes, fails)
		if err != nil || !slices.Equal(got, culprit) {
			t.Fatalf("of %v, %v fails; got %v, %v", nodes, culprit, got, err)
		}
		if most := len(nodes)*len(nodes) + 3*len(nodes); tries > most {
			t.Errorf("%d tries for %d nodes, more than %d", tries, len(nodes), most)
		}
	}
}

// Without any more tries, the smallest part so far is the answer, and never one that was not seen to fail.
func TestMinimizeStops(t *testing.T) {
	left := 2
	got, err := minimize([]string{"a", "b", "c", "d"}, func(part []string) (bool, error) {
		if left--; left < 0 {
			return false, errEnough
		}
		return slices.Contains(part, "c"), nil
	})
	if !errors.Is(err, errEnough) || !slices.Equal(got, []string{"c", "d"}) {
		t.Errorf("got %v, %v", got, err)
	}
}
