begin;
insert into by_default values (30, 'p');
prepare transaction 'first';
commit prepared 'first';
begin;
insert into by_default values (31, 'q');
prepare transaction 'second';
rollback prepared 'second';
