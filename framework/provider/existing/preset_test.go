package existing

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func labelled(pairs ...string) corev1.Pod {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{}}}
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		pod.Labels[key] = value
	}
	return pod
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		name string
		pods []corev1.Pod
		want string
	}{
		{"", []corev1.Pod{labelled("cnpg.io/cluster=a", "cnpg.io/instanceRole=primary"), labelled("cnpg.io/cluster=a", "cnpg.io/instanceRole=replica")}, "cloudnative-pg"},
		{"", []corev1.Pod{labelled("cluster-name=a", "spilo-role=master")}, "zalando"},
		{"", []corev1.Pod{labelled("cluster-name=a", "role=replica")}, "patroni"},
		{"crunchy", []corev1.Pod{labelled("app=x")}, "crunchy"},
		{"", []corev1.Pod{labelled("cluster-name=a", "role=master"), labelled("app=x")}, ""}, // one pod of another kind among them
		{"oracle", nil, ""},
	} {
		got, err := detect(c.name, c.pods)
		if got.Name != c.want || (c.want == "") != errors.Is(err, ErrPreset) {
			t.Errorf("%q, %v: got %q, %v; want %q", c.name, c.pods, got.Name, err, c.want)
		}
	}
}

func TestOverride(t *testing.T) {
	p, err := detect("patroni", nil)
	if err != nil {
		t.Fatal(err)
	}
	p = p.override(Preset{Role: "who"})
	if p.Role != "who" || p.Shard != "cluster-name" {
		t.Errorf("got %+v", p)
	}
}
