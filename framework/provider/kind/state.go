package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/cutset-dev/cutset/framework/provider/kube"
	"github.com/cutset-dev/cutset/framework/provider/owner"
)

// state is what another process needs to know to heal or remove the cluster of a killed run.
type state struct {
	owner.Owner
	Name       string         `json:"name"`
	Keep       bool           `json:"keep"`
	Kubeconfig []byte         `json:"kubeconfig"`
	Namespace  string         `json:"namespace"`
	Selector   string         `json:"selector"`
	Machines   []kube.Machine `json:"machines"`
	Server     string         `json:"server"`
	Supervisor string         `json:"supervisor"`
}

// Reopen takes over the cluster that a killed run recorded in the state file. Logs go on in the directory.
func Reopen(ctx context.Context, file, logs string) (*Cluster, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the caller's file
	if err != nil {
		return nil, err
	}
	c := &Cluster{file: file}
	if err := json.Unmarshal(text, &c.state); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if err := c.state.Ended(); err != nil {
		return nil, err
	}
	if len(c.state.Machines) == 0 { // it was killed while it was made: nothing runs on it
		return c, nil
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(c.state.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return c, c.open(ctx, config, kube.Options{
		Namespace: c.state.Namespace, Selector: c.state.Selector, Server: c.state.Server, Supervisor: c.state.Supervisor, Logs: logs,
	})
}

// keepApart gives a cluster that goes with its run a kubeconfig beside its state. The user's has one lock, and kind does not wait
// for it: clusters that are made or removed at one time would fail for that.
func (c *Cluster) keepApart() error {
	if c.state.Keep || c.file == "" {
		return nil
	}
	return os.Setenv("KUBECONFIG", c.kubeconfig())
}

func (c *Cluster) kubeconfig() string { return strings.TrimSuffix(c.file, ".json") + ".kubeconfig" }

func (c *Cluster) record() error {
	if c.file == "" {
		return nil
	}
	text, err := json.MarshalIndent(c.state, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.file, text, 0o600); err != nil {
		return fmt.Errorf("record the cluster: %w", err)
	}
	return nil
}
