package pull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"lomo/internal/fault"
	"lomo/internal/hub"
	"lomo/internal/suggest"
)

// explain makes of a failed request what a user can act on.
func (c *Client) explain(ctx context.Context, err error, id hub.ID) error {
	var status *statusError
	var gone *unreachable
	page := c.Endpoint.String() + "/" + id.String()
	if errors.As(err, &gone) {
		return fault.Refuse(gone.hint(), "%w", err)
	}
	if !errors.As(err, &status) {
		return err
	}
	switch {
	case status.kind == "RevisionNotFound":
		return fault.Refuse(c.revisions(ctx, id), "%s has no revision %s", id, fault.Line(id.Revision))
	case status.kind == "GatedRepo" && status.sentToken:
		return fault.Refuse(fmt.Sprintf("accept its licence at %s with the account of the token from %s, and give the command again", page, c.tokenFrom), "%s is gated, and this account has no access to it", id)
	case status.kind == "GatedRepo":
		return fault.Refuse(fmt.Sprintf("accept its licence at %s, make a token at %s/settings/tokens, and set HF_TOKEN", page, c.Endpoint), "%s is gated: it asks for an account", id)
	case status.kind == "RepoNotFound" || status.code == http.StatusNotFound || status.code == http.StatusUnauthorized && !status.sentToken:
		return fault.Refuse(c.nearest(ctx, id, status.sentToken), "%s does not exist on the hub, or is private%s", id, atMirror(c))
	case status.code == http.StatusUnauthorized:
		return fault.Refuse(fmt.Sprintf("make a new one at %s/settings/tokens, or remove it: most models need none", c.Endpoint), "the hub does not know the token from %s", c.tokenFrom)
	case status.code == http.StatusForbidden && status.sentToken:
		return fault.Refuse(fmt.Sprintf("accept the licence at %s if it asks for one, and give the token from %s the right to read this model", page, c.tokenFrom), "%s: access is refused%s", id, said(status))
	case status.code == http.StatusForbidden:
		return fault.Refuse(fmt.Sprintf("accept the licence at %s if it asks for one, and set HF_TOKEN", page), "%s: access is refused%s", id, said(status))
	case status.code == http.StatusTooManyRequests:
		wait := "wait a few minutes"
		if d := retryAfter(status.retryAfter); d > 0 {
			wait = fmt.Sprintf("wait %s, as the server asks", d.Round(time.Second))
		}
		if !status.sentToken {
			wait += ", or set HF_TOKEN, which is allowed more"
		}
		return fault.Refuse(wait+"; what is there stays", "%s: too many requests (429)", c.Endpoint.Host)
	case status.code >= 500:
		return fault.Refuse("try again in a few minutes; what is there stays. https://status.huggingface.co tells of outages", "%s: %w", c.Endpoint.Host, status)
	}
	return fault.Refuse("open "+page+" in a browser: does it exist?", "%s: %w", c.Endpoint.Host, status)
}

func said(e *statusError) string {
	if e.message == "" {
		return ""
	}
	return ": " + e.message
}

func atMirror(c *Client) string {
	if c.Endpoint.String() == DefaultEndpoint {
		return ""
	}
	return " (" + c.Endpoint.Host + ")"
}

// patient is how long a question may take that only betters a message.
const patient = 5 * time.Second

// nearest is the way out of a model that is not there: one of nearly this name, or a token.
func (c *Client) nearest(ctx context.Context, id hub.ID, token bool) string {
	advice := "check the name; for a private model set HF_TOKEN"
	if token {
		advice = fmt.Sprintf("check the name, and whether the account of the token from %s may see it", c.tokenFrom)
	}
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	words := strings.FieldsFunc(id.Name, func(r rune) bool { return r == '-' || r == '_' })
	searches := []string{id.Name}
	if len(words) > 1 {
		searches = append(searches, strings.Join(words[:min(2, len(words))], "-"))
	}
	var names []string
	for _, s := range searches {
		raw, err := c.readOnce(ctx, "/api/models?limit=100&search="+url.QueryEscape(s), 4<<20)
		var found []struct{ ID string }
		if err != nil || json.Unmarshal(raw, &found) != nil {
			return advice
		}
		for _, f := range found {
			names = append(names, f.ID)
		}
	}
	for _, name := range names { // the same name, of another owner
		if _, of, _ := strings.Cut(name, "/"); strings.EqualFold(of, id.Name) {
			return fmt.Sprintf("did you mean %s? Else %s", fault.Line(name), advice)
		}
	}
	if near := suggest.Nearest(id.String(), names); near != "" {
		return fmt.Sprintf("did you mean %s? Else %s", fault.Line(near), advice)
	}
	return advice
}

// revisions are the branches and tags a model has.
func (c *Client) revisions(ctx context.Context, id hub.ID) string {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	raw, err := c.readOnce(ctx, fmt.Sprintf("/api/models/%s/refs", id), 4<<20)
	type named []struct{ Name string }
	var refs struct{ Branches, Tags named }
	if err != nil || json.Unmarshal(raw, &refs) != nil {
		return "without --revision it is main"
	}
	var names []string
	for _, r := range slices.Concat(refs.Branches, refs.Tags) {
		names = append(names, fault.Line(r.Name))
	}
	if len(names) > 10 {
		names = append(names[:10], "…")
	}
	return "it has " + strings.Join(names, ", ")
}
