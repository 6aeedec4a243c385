package patroni

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// clusterView is what GET /cluster of Patroni's REST interface answers; see "Monitoring endpoint"
// in Patroni's documentation.
type clusterView struct {
	Members []member `json:"members"`
	Pause   bool     `json:"pause"`
}

type member struct {
	Name  string         `json:"name"`
	Role  string         `json:"role"`
	State string         `json:"state"`
	Host  string         `json:"host"`
	Port  int            `json:"port"`
	Tags  map[string]any `json:"tags"`
}

func (m member) leads() bool { return m.Role == "leader" || m.Role == "standby_leader" }

// runs: Patroni up to 3.0 calls a replica that streams "running".
func (m member) runs() bool { return m.State == "running" || m.State == "streaming" }

// state is what GET /patroni answers of the member itself, from what it knows already.
type state struct {
	Role     string `json:"role"`
	Unlocked bool   `json:"cluster_unlocked"` // it knows of no leader, or has heard of none for too long
}

// primary: Patroni before 4 calls it master.
func (s state) primary() bool { return s.Role == "primary" || s.Role == "master" }

// get reads JSON from a copy's REST interface.
func get[R any](ctx context.Context, t *Target, c copyOf, path string) (R, error) {
	return probe(ctx, t, "GET "+path, c.Instance, func(ctx context.Context) (r R, err error) {
		return r, t.call(ctx, http.MethodGet, c, path, nil, &r)
	})
}

// patch changes the dynamic configuration of a copy's shard.
func (t *Target) patch(ctx context.Context, c copyOf, config map[string]any) error {
	_, err := probe(ctx, t, "PATCH /config", c.Instance, func(ctx context.Context) (struct{}, error) {
		body, err := json.Marshal(config)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, t.call(ctx, http.MethodPatch, c, "/config", body, nil)
	})
	return err
}

func (t *Target) call(ctx context.Context, method string, c copyOf, path string, body []byte, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+c.rest()+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.SetBasicAuth("rest", t.passwords["rest"])
	response, err := t.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end below
	const enough = 1 << 20
	text, err := io.ReadAll(io.LimitReader(response.Body, enough))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %.200s", method, request.URL, response.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}
