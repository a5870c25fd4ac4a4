package matcher

// Response is how AWS answered a call.
type Response uint8

// The responses. A failure includes the unauthorized ones.
const (
	Success Response = iota
	Failure
	Unauthorized
)

// deniedCodes are parts of the error codes by which AWS services refuse a call
// for lack of permission. Semantics: the services' common error codes
// (AccessDenied, AccessDeniedException, Client.UnauthorizedOperation,
// UnauthorizedAccess, NotAuthorized, AuthorizationError, …).
var deniedCodes = []string{
	"AccessDenied",
	"AccessDeny",
	"AuthorizationError",
	"AuthorizationFailure",
	"Forbidden",
	"NotAuthorized",
	"Unauthorized",
}

// NewResponse returns the condition that an event's response is r. A failure
// has an errorCode or an errorMessage that is not null, or says Failure in
// responseElements.ConsoleLogin; an unauthorized one has an errorCode that
// contains AccessDenied, AccessDeny, AuthorizationError, AuthorizationFailure,
// Forbidden, NotAuthorized or Unauthorized (in any case); everything else is a
// success.
func NewResponse(r Response, note Note) Node {
	switch r {
	case Unauthorized:
		return &Field{Path: Keys("errorCode"), Leaf: Leaf{Op: Contains(true, deniedCodes...)}, Note: note}
	case Failure:
		return &Or{Nodes: failureNodes(), Note: note}
	default:
		return &Not{Node: &Or{Nodes: failureNodes()}, Note: note}
	}
}

func failureNodes() []Node {
	present := Leaf{Op: Exists(), Null: NullFalse}
	return []Node{
		&Field{Path: Keys("errorCode"), Leaf: present},
		&Field{Path: Keys("errorMessage"), Leaf: present},
		&Field{Path: Keys("responseElements", "ConsoleLogin"), Leaf: Leaf{Op: Equals(false, "Failure")}},
	}
}
