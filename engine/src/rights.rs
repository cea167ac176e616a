//! Who may do what: role × operation, default deny. A new role or operation does not compile without its line.

use sparr_protocol::codes::Role;
use sparr_protocol::exchange::OperationKind;

/// Everything that a caller can ask of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Screen an authorisation request.
    Screen,
    /// Carry out an operation of the exchange.
    Exchange(OperationKind),
}

/// Whether a role may do this at its own member's engine.
pub const fn permits(role: Role, right: Right) -> bool {
    match right {
        Right::Screen => match role {
            Role::Gateway => true,
            Role::Desk | Role::Analyst | Role::Risk | Role::Operator | Role::Centre | Role::Police => false,
        },
        Right::Exchange(OperationKind::FlagRaise | OperationKind::FlagLift) => match role {
            Role::Desk => true,
            // A gateway answers machines. Whoever lifts a flag has spoken with the person.
            Role::Gateway | Role::Analyst | Role::Risk | Role::Operator | Role::Centre | Role::Police => {
                false
            }
        },
        Right::Exchange(OperationKind::FlagStatus | OperationKind::FlagList) => match role {
            Role::Desk | Role::Centre => true,
            Role::Gateway | Role::Analyst | Role::Risk | Role::Operator | Role::Police => false,
        },
        Right::Exchange(OperationKind::ReasonName) => match role {
            Role::Gateway
            | Role::Desk
            | Role::Analyst
            | Role::Risk
            | Role::Operator
            | Role::Centre
            | Role::Police => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_screens_and_changes_nothing_and_nobody_else_screens() {
        for role in Role::ALL.iter().copied() {
            assert_eq!(permits(role, Right::Screen), role == Role::Gateway, "{}", role.name());
            for operation in [OperationKind::FlagRaise, OperationKind::FlagLift] {
                assert_eq!(permits(role, Right::Exchange(operation)), role == Role::Desk, "{}", role.name());
            }
        }
    }
}
