//! Tokens to syntax tree, by operator precedence as in R.

use super::lexer::{Token, tokens};
use super::{
    Argument, FORMULA_BYTES_MAX, FORMULA_DEPTH_MAX, Formula, FormulaError, Node, Operator, Span,
    Syntax,
};

const SYNTAX: &str = "K0201";
const TOO_LARGE: &str = "K0202";

/// Most operators between operands.
const OPERATORS_MAX: usize = 500;

/// Binding strength of prefix minus and plus: below `^`, above `:`.
const SIGN: u8 = 13;
/// Binding strength of prefix `!`: below comparisons, above `&`.
const NOT: u8 = 5;

/// Left and right binding strength of an operator between operands; a larger one binds tighter.
fn strength(operator: Operator) -> Option<(u8, u8)> {
    match operator {
        Operator::Or => Some((1, 2)),
        Operator::And => Some((3, 4)),
        Operator::Equal
        | Operator::Unequal
        | Operator::Less
        | Operator::LessEqual
        | Operator::Greater
        | Operator::GreaterEqual => Some((6, 7)),
        Operator::Add | Operator::Subtract => Some((7, 8)),
        Operator::Multiply | Operator::Divide => Some((9, 10)),
        Operator::In => Some((11, 12)),
        Operator::Colon => Some((12, 13)),
        // Right associative, and an exponent may carry a sign.
        Operator::Power => Some((15, 13)),
        Operator::Not => None,
    }
}

pub(super) fn parse(text: &str) -> Result<Formula, FormulaError> {
    let mut formula = Formula {
        text: text.to_owned(),
        response: None,
        right: Node { what: Syntax::Number(1.0), span: 0..0 },
    };
    if text.len() > FORMULA_BYTES_MAX {
        let message = format!("the formula is longer than {FORMULA_BYTES_MAX} bytes");
        formula.text.truncate(0);
        return Err(formula.error(TOO_LARGE, &(0..0), message));
    }
    let tokens = tokens(text).map_err(|unreadable| {
        let mut error = formula.error(SYNTAX, &unreadable.span, unreadable.message);
        unreadable.label.clone_into(&mut error.label);
        error
    })?;
    let mut parser = Parser { tokens, at: 0, depth: 0, operators: 0, formula: &formula };
    let response = if parser.peek() == &Token::Tilde { None } else { Some(parser.expression(0)?) };
    if parser.peek() != &Token::Tilde {
        let message = "expected `~` between response and terms".to_owned();
        return Err(parser.unexpected(message));
    }
    parser.advance();
    let right = parser.expression(0)?;
    if parser.peek() != &Token::End {
        let message = match parser.peek() {
            Token::Tilde => "a formula has one `~` only",
            Token::Close => "a `)` without its `(`",
            _ => "expected an operator between two terms",
        };
        return Err(parser.unexpected(message.to_owned()));
    }
    formula.response = response;
    formula.right = right;
    Ok(formula)
}

struct Parser<'a> {
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
    operators: usize,
    formula: &'a Formula,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn span(&self) -> Span {
        let end = self.formula.text.len();
        self.tokens.get(self.at).map_or(end..end, |(_, span)| span.clone())
    }

    /// Moves past the current token and returns where it ended.
    fn advance(&mut self) -> usize {
        let end = self.span().end;
        self.at += 1;
        end
    }

    fn unexpected(&self, message: String) -> FormulaError {
        let mut error = self.formula.error(SYNTAX, &self.span(), message);
        if self.peek() == &Token::End {
            "the formula ends here".clone_into(&mut error.label);
        }
        error
    }

    fn expression(&mut self, weakest: u8) -> Result<Node, FormulaError> {
        self.depth += 1;
        if self.depth > FORMULA_DEPTH_MAX {
            let message = format!("the formula is nested deeper than {FORMULA_DEPTH_MAX}");
            return Err(self.formula.error(TOO_LARGE, &self.span(), message));
        }
        let mut left = self.operand()?;
        while let Token::Operator(operator) = *self.peek()
            && let Some((before, after)) = strength(operator)
            && before >= weakest
        {
            self.advance();
            let right = self.expression(after)?;
            // The tree of a chain such as a + b + c leans left: later steps walk down as deep as
            // the chain is long.
            self.operators += 1;
            if self.operators > OPERATORS_MAX {
                let message = format!("the formula has more than {OPERATORS_MAX} operators");
                return Err(self.formula.error(TOO_LARGE, &right.span, message));
            }
            let span = left.span.start..right.span.end;
            if operator.is_comparison() && is_comparison(&left) {
                let message = "comparisons cannot be chained".to_owned();
                return Err(self.formula.error(SYNTAX, &span, message));
            }
            left = Node { what: Syntax::Binary(operator, Box::new(left), Box::new(right)), span };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node, FormulaError> {
        let start = self.span().start;
        let token = self.peek().clone();
        let prefix = match token {
            Token::Operator(Operator::Not) => Some(NOT),
            Token::Operator(Operator::Add | Operator::Subtract) => Some(SIGN),
            _ => None,
        };
        if let (Some(strength), Token::Operator(operator)) = (prefix, &token) {
            self.advance();
            let inner = self.expression(strength)?;
            let span = start..inner.span.end;
            return Ok(Node { what: Syntax::Unary(*operator, Box::new(inner)), span });
        }
        let what = match token {
            Token::Number(number) => Syntax::Number(number),
            Token::Text(text) => Syntax::Text(text),
            Token::Open => {
                self.advance();
                let inner = self.expression(0)?;
                let end = self.close()?;
                return Ok(Node { what: Syntax::Parenthesis(Box::new(inner)), span: start..end });
            }
            Token::Name(name) => return self.name_or_call(name, start),
            Token::Close => return Err(self.unexpected("a term is missing before `)`".to_owned())),
            Token::Assign => {
                let mut error = self.unexpected("`=` names an argument only".to_owned());
                "compare with `==`".clone_into(&mut error.label);
                return Err(error);
            }
            _ => return Err(self.unexpected("a term is missing here".to_owned())),
        };
        let end = self.advance();
        Ok(Node { what, span: start..end })
    }

    fn name_or_call(&mut self, name: String, start: usize) -> Result<Node, FormulaError> {
        let mut end = self.advance();
        let what = if self.peek() == &Token::Open {
            self.advance();
            let arguments = self.arguments()?;
            end = self.close()?;
            Syntax::Call(name, arguments)
        } else {
            match name.as_str() {
                "TRUE" => Syntax::Logical(true),
                "FALSE" => Syntax::Logical(false),
                _ => Syntax::Name(name),
            }
        };
        Ok(Node { what, span: start..end })
    }

    fn arguments(&mut self) -> Result<Vec<Argument>, FormulaError> {
        let mut arguments = Vec::new();
        if self.peek() == &Token::Close {
            return Ok(arguments);
        }
        loop {
            let named = matches!(self.tokens.get(self.at + 1), Some((Token::Assign, _)));
            let name = match self.peek() {
                Token::Name(name) if named => Some(name.clone()),
                _ => None,
            };
            if name.is_some() {
                self.advance();
                self.advance();
            }
            let value = self.expression(0)?;
            arguments.push(Argument { name, value });
            if self.peek() != &Token::Comma {
                return Ok(arguments);
            }
            self.advance();
        }
    }

    fn close(&mut self) -> Result<usize, FormulaError> {
        if self.peek() == &Token::Close {
            return Ok(self.advance());
        }
        Err(self.unexpected("expected `)`".to_owned()))
    }
}

fn is_comparison(node: &Node) -> bool {
    matches!(&node.what, Syntax::Binary(operator, ..) if operator.is_comparison())
}
