package matcher

import "strconv"

var severityNames = [...]string{"info", "low", "medium", "high", "critical"}

// String is the severity's word in rule files and alerts.
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return "severity " + strconv.Itoa(int(s))
}
