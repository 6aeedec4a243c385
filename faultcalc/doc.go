// Package faultcalc computes which sets of nodes to fail in order to test the
// high availability of a sharded, replicated table, and what has to happen
// under each of them.
//
// Give [Compile] a [Topology], a table and a [Level]; the [Model] then has
//
//   - the published method, "horizontal calculation of the fault factors of a
//     distributed database" ([Model.Published]): the affected nodes A, the
//     keepers B, C = A \ B, the power set of C, and the minimal subsets;
//   - the exact calculation: minimal cut sets ([Model.MinimalCutSets]), minimal
//     keeper sets ([Model.MinimalKeeperSets]) and maximal survivable sets
//     ([Model.MaximalSurvivableSets]), under every [Rule];
//   - the prediction for any fault set ([Model.Status]), a plan of fault sets
//     ([Model.Plan]), and what share of all fault sets a list of them decides
//     ([Model.Coverage]).
//
// The package has no I/O, no logging and no global state, and its results
// depend on its input alone. Where the contract, method/fault-factors.md, is
// ambiguous, the reading that was chosen is marked [reading] in the doc comment
// of the thing it concerns.
//
// Iterators yield borrowed sets: see [Set].
package faultcalc
