package lease

import "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

// update collects the parts of one conditional update.
type update struct {
	key                       string
	sets, removes, conditions []string
	names                     map[string]string
	values                    item
}

func newUpdate(key string) *update {
	return &update{key: key, names: map[string]string{}, values: item{}}
}

func (u *update) name(attr string) string {
	u.names["#"+attr] = attr
	return "#" + attr
}

func (u *update) set(attr string, v types.AttributeValue) {
	u.values[":"+attr] = v
	u.sets = append(u.sets, u.name(attr)+" = :"+attr)
}

func (u *update) remove(attr string) {
	u.removes = append(u.removes, u.name(attr))
}

func (u *update) is(attr string, v types.AttributeValue) {
	u.values[":was_"+attr] = v
	u.conditions = append(u.conditions, u.name(attr)+" = :was_"+attr)
}

func (u *update) absent(attr string) {
	u.conditions = append(u.conditions, "attribute_not_exists("+u.name(attr)+")")
}

func (u *update) isCounter(n int64) { u.is(attrCounter, num(n)) }

// isOf is no condition where the lease did not say.
func (u *update) isOf(of identity) {
	if of.known() {
		u.is(attrOf, str(of.String()))
	}
}

func (u *update) isOwner(owner string) {
	if owner == "" {
		u.absent(attrOwner)
		return
	}
	u.is(attrOwner, str(owner))
}
