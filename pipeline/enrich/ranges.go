package enrich

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"
)

// awsList is the list that Amazon's ranges make; with a slash and a service,
// those of the service.
const awsList = "aws_ip_ranges"

// amazon is the service that holds all others.
const amazon = "AMAZON"

// ranges are Amazon's addresses.
type ranges struct{ table bart.Table[owner] }

// owner is who has a range.
type owner struct{ service, region string }

func (r *ranges) lookup(ip string) (service, region string, ok bool) {
	a, ok := parseAddress(ip)
	if !ok {
		return "", "", false
	}
	at, ok := r.table.Lookup(a)
	return at.service, at.region, ok
}

// readRanges reads ip-ranges.json, and adds the lists that it makes.
//
// Semantics: AWS general reference, AWS IP address ranges, syntax of
// ip-ranges.json.
func readRanges(file string, lists map[string]*list) (*ranges, error) {
	src, err := readFile(file, maxTextFile)
	if err != nil {
		return nil, err
	}
	type entry struct {
		IPv4    string `json:"ip_prefix"`
		IPv6    string `json:"ipv6_prefix"`
		Region  string `json:"region"`
		Service string `json:"service"`
	}
	var all struct {
		Prefixes     []entry `json:"prefixes"`
		IPv6Prefixes []entry `json:"ipv6_prefixes"`
	}
	line := func(offset int64) int {
		return 1 + bytes.Count(src[:min(int64(len(src)), max(0, offset))], []byte("\n"))
	}
	if err := json.Unmarshal(src, &all); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			return nil, fmt.Errorf("%s:%d: %w", file, line(syntax.Offset), err)
		case errors.As(err, &kind):
			return nil, fmt.Errorf("%s:%d: %w", file, line(kind.Offset), err)
		}
		return nil, fmt.Errorf("%s:1: %w", file, err)
	}
	r := &ranges{}
	var errs []error
	on := func(name string, p netip.Prefix) {
		if lists[name] == nil {
			lists[name] = &list{}
		}
		lists[name].insert(p)
	}
	for _, e := range append(all.Prefixes, all.IPv6Prefixes...) {
		text := e.IPv4 + e.IPv6
		p, err := netip.ParsePrefix(text)
		if err != nil {
			if len(errs) < maxProblems {
				errs = append(errs, fmt.Errorf("%s:%d: %.60q is no range of addresses", file, line(int64(bytes.Index(src, []byte(text)))), text))
			}
			continue
		}
		p = unmapped(p)
		on(awsList, p)
		on(awsList+"/"+strings.ToLower(e.Service), p)
		if before, ok := r.table.Get(p); !ok || before.service == amazon {
			r.table.Insert(p, owner{e.Service, e.Region})
		}
	}
	if len(errs) == 0 && lists[awsList] == nil {
		errs = append(errs, fmt.Errorf("%s:1: there are no prefixes: this is not Amazon's ip-ranges.json", file))
	}
	return r, errors.Join(errs...)
}
