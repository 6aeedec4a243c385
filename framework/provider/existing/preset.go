package existing

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Preset says how an operator labels its pods, and where it keeps a client's account.
type Preset struct {
	Name string
	// Shard is the label that the pods of one replicated server have in common, and Role the one that tells its primary.
	Shard, Role string
	Primary     []string // values of Role
	Container   string   // that the server runs in
	Supervisor  string   // process that starts the server again
	Secret      string   // with an account that may create tables; %s is the value of the label Shard
}

// Presets are the operators that are known, the ones with labels of their own first.
var Presets = []Preset{
	{
		Name: "cloudnative-pg", Shard: "cnpg.io/cluster", Role: "cnpg.io/instanceRole", Primary: []string{"primary"},
		Container: "postgres", Supervisor: "manager", Secret: "%s-superuser",
	},
	{
		Name: "zalando", Shard: "cluster-name", Role: "spilo-role", Primary: []string{"master", "primary"},
		Container: "postgres", Supervisor: "patroni", Secret: "postgres.%s.credentials.postgresql.acid.zalan.do",
	},
	{
		Name: "crunchy", Shard: "postgres-operator.crunchydata.com/cluster", Role: "postgres-operator.crunchydata.com/role",
		Primary: []string{"master", "primary"}, Container: "database", Supervisor: "patroni", Secret: "%[1]s-pguser-%[1]s",
	},
	{
		Name: "patroni", Shard: "cluster-name", Role: "role", Primary: []string{"master", "primary"}, Supervisor: "patroni", Secret: "%s-superuser",
	},
}

// ErrPreset is wrapped by the error for pods whose labels tell nothing.
var ErrPreset = errors.New("no preset fits")

// detect returns the preset of that name, or, without one, the first whose labels all the pods have.
func detect(name string, pods []corev1.Pod) (Preset, error) {
	var names []string
	for _, p := range Presets {
		strange := func(pod corev1.Pod) bool { return pod.Labels[p.Shard] == "" || pod.Labels[p.Role] == "" }
		if p.Name == name || name == "" && !slices.ContainsFunc(pods, strange) {
			return p, nil
		}
		names = append(names, p.Name)
	}
	if name != "" {
		return Preset{}, fmt.Errorf("-preset=%s: %w; there are %s", name, ErrPreset, strings.Join(names, ", "))
	}
	return Preset{}, fmt.Errorf("the pods have the labels of no operator that is known (%s): %w; say which comes closest with -preset, "+
		"and what it has to be with -shard-label, -role-label and -secret", strings.Join(names, ", "), ErrPreset)
}

// override replaces what the user says differently.
func (p Preset) override(with Preset) Preset {
	p.Shard, p.Role, p.Secret = cmp.Or(with.Shard, p.Shard), cmp.Or(with.Role, p.Role), cmp.Or(with.Secret, p.Secret)
	return p
}
